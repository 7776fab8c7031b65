//! Characters that look alike.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Groups of characters that look like the first one, after compatible forms (full width, mathematical letters)
/// were made one and accents were taken off. Chosen from the letters of Cyrillic, Greek and others that stand in
/// names registered to deceive.
const ALIKE: &[&str] = &[
    "aаαɑ",
    "bьƅвЬ",
    "cсϲⅽᴄ",
    "dԁɗⅾ",
    "eеєҽεɛ3",
    "fғƒ",
    "gɡցԍ9",
    "hһհʜн",
    "jјʝ",
    "kкκĸ",
    "liіӏι1ⅼ|ıɪł",
    "mмⅿɱ",
    "nпηոռ",
    "oоο0оօσөø",
    "pрρƿ",
    "qԛգ",
    "rгřɾʀ",
    "sѕʂ5ꜱ",
    "tтτ",
    "uυսʋц",
    "vνѵⅴ",
    "wԝѡɯш",
    "xхχⅹ",
    "yуγүʏч",
    "zᴢʐ2",
];

/// Runs of letters that look like one.
const RUNS: &[(&str, &str)] = &[("rn", "m"), ("vv", "w"), ("nn", "m")];

/// What is left of a name when everything that looks alike is the same. The skeleton of a skeleton is itself.
pub(super) fn skeleton(name: &str) -> String {
    let folded: String = name
        .nfkd()
        .filter(|c| !is_combining_mark(*c) && !unseen(*c))
        .flat_map(char::to_lowercase)
        .map(alike)
        .collect();
    let mut skeleton = folded;
    loop {
        let mut next = skeleton.clone();
        for (run, one) in RUNS {
            next = next.replace(run, one);
        }
        if next == skeleton {
            return skeleton;
        }
        skeleton = next;
    }
}

/// Between letters of a name these change nothing that a reader would see.
fn unseen(c: char) -> bool {
    matches!(c, '-' | '_' | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

fn alike(c: char) -> char {
    let group = ALIKE.iter().find(|group| group.contains(c));
    group.and_then(|group| group.chars().next()).unwrap_or(c)
}
