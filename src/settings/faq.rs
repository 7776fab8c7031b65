//! `[faq]`: the folder of the known answers, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::{Fault, Place};
use crate::desk::faq::{Article, Flaw};

/// `[faq]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaqSection {
    /// The folder with the articles, `*.md`; relative to the file that says so. Default: no known answers.
    pub dir: Option<PathBuf>,
}

/// Reads all articles of a folder, in the order of their names; every flaw of every article is a fault with
/// its file and line. `named_at`: where the settings name the folder.
pub(super) fn read(dir: &Path, named_at: &Place) -> (Vec<Article>, Vec<Fault>) {
    let paths = match paths(dir) {
        Ok(paths) => paths,
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", dir.display());
            let key = "faq.dir".to_owned();
            return (Vec::new(), vec![Fault { place: named_at.clone(), key, reason }]);
        }
    };
    let (mut articles, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match article(&path) {
            Ok(article) => articles.push((path, article)),
            Err(flaws) => faults.extend(flaws.into_iter().map(|flaw| fault(&path, flaw))),
        }
    }
    // An article that cannot be read is there all the same.
    let is_known = |name: &str| dir.join(format!("{name}.md")).is_file();
    for (path, article) in &articles {
        let loose = article.loose_ends(is_known);
        faults.extend(loose.into_iter().map(|flaw| fault(path, flaw)));
    }
    (articles.into_iter().map(|(_, article)| article).collect(), faults)
}

fn paths(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn article(path: &Path) -> Result<Article, Vec<Flaw>> {
    let flaw = |reason: String| vec![Flaw { line: 0, reason }];
    let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    });
    let name = name.ok_or_else(|| {
        flaw("an article's name is made of the letters a-z, digits, `-` and `_`".to_owned())
    })?;
    let text = fs::read_to_string(path);
    Article::read(name, &text.map_err(|error| flaw(format!("cannot be read: {error}")))?)
}

fn fault(path: &Path, Flaw { line, reason }: Flaw) -> Fault {
    let place = Place::File { path: path.to_owned(), line, column: 1 };
    Fault { place, key: String::new(), reason }
}
