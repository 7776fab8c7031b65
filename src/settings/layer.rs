//! One source of settings (a file, the environment) with the place of every key, and their merging.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, Value, ValueKind};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::secret::Reference;

/// Everything before the first `__` of our environment variables.
const PREFIX: &str = "TRIBUTARY__";

/// One source of settings.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    values: Map<String, Value>,
    places: BTreeMap<String, Place>,
}

impl Layer {
    /// Parses a file. Faults of the syntax come back beside what could be read all the same.
    pub(super) fn from_toml(path: &Path, text: &str) -> (Self, Vec<Fault>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::new(path, text);
        let faults = errors
            .into_iter()
            .map(|error| Fault {
                place: lines.place(error.span().map_or(0, |span| span.start)),
                key: String::new(),
                reason: error.message().to_owned(),
            })
            .collect();
        let mut reader = Reader { lines, places: BTreeMap::new() };
        let values = reader.table("", table.into_inner());
        (Self { values, places: reader.places }, faults)
    }

    /// `TRIBUTARY__STORE__URL=…` is `store.url`. Values stay texts; the reader makes numbers of them.
    pub(super) fn from_variables(variables: &BTreeMap<String, String>) -> Self {
        let mut root = Value::from(Map::<String, Value>::new());
        let mut places = BTreeMap::new();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
            put(&mut root, &keys, text);
            for depth in 1..=keys.len() {
                let key = keys.iter().take(depth).cloned().collect::<Vec<_>>().join(".");
                let place = Place::Variable(name.clone());
                if depth == keys.len() {
                    places.insert(key, place);
                } else {
                    places.entry(key).or_insert(place);
                }
            }
        }
        let values = fold_references(root, Path::new("")).into_table().unwrap_or_default();
        Self { values, places }
    }

    /// Only the place of exactly this key.
    fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }
}

fn put(at: &mut Value, keys: &[String], text: &str) {
    let Some((first, rest)) = keys.split_first() else {
        *at = Value::new(None, text);
        return;
    };
    if !matches!(at.kind, ValueKind::Table(_)) {
        *at = Value::from(Map::<String, Value>::new());
    }
    if let ValueKind::Table(table) = &mut at.kind {
        put(table.entry(first.clone()).or_default(), rest, text);
    }
}

/// `{ file = … }` and the like, as a value that another layer replaces whole.
fn fold_references(value: Value, folder: &Path) -> Value {
    let ValueKind::Table(table) = value.kind else { return value };
    if let Some(reference) = Reference::read(&table, folder) {
        return reference.fold();
    }
    let table: Map<String, Value> =
        table.into_iter().map(|(key, value)| (key, fold_references(value, folder))).collect();
    table.into()
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.clone())
    }
}

/// All layers, lowest first: the merged values, and where each key was written.
#[derive(Debug, Clone)]
pub(super) struct Layers(pub(super) Vec<Layer>);

impl Layers {
    /// Later layers win, key by key; lists are replaced whole.
    pub(super) fn merged(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut builder = Config::builder();
        for layer in &self.0 {
            builder = builder.add_source(layer.clone());
        }
        builder.build()?.try_deserialize::<Value>()?.into_table()
    }

    /// Where the key was written last, or else the closest table around it.
    pub(super) fn place(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            // The lowest layer is compiled in; nobody can look at it there.
            let written = self.0.iter().skip(1).rev().find_map(|layer| layer.place(key));
            if let Some(place) = written {
                return place.clone();
            }
            match parent(key) {
                Some(around) => key = around,
                None => return Place::Nowhere,
            }
        }
    }

    /// What the lowest layer says.
    pub(super) fn default_of(&self, key: &str) -> Option<Value> {
        let lowest = self.0.first()?;
        let mut at: Value = lowest.values.clone().into();
        for part in key.split('.') {
            at = at.into_table().ok()?.remove(part)?;
        }
        Some(at)
    }
}

/// `a.b[0].c` → `a.b[0]` → `a.b` → `a` → nothing.
pub(super) fn parent(key: &str) -> Option<&str> {
    let at = key.rfind(['.', '['])?;
    key.get(..at)
}

struct Reader<'a> {
    lines: Lines<'a>,
    places: BTreeMap<String, Place>,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: DeTable<'_>) -> Map<String, Value> {
        let mut values = Map::new();
        for (key, value) in table {
            let here = if path.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{path}.{}", key.get_ref())
            };
            self.places.insert(here.clone(), self.lines.place(key.span().start));
            let value = self.value(&here, value);
            values.insert(key.into_inner().into_owned(), value);
        }
        values
    }

    fn value(&mut self, path: &str, value: Spanned<DeValue<'_>>) -> Value {
        match value.into_inner() {
            DeValue::String(text) => Value::new(None, text.into_owned()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::new(None, number),
                    Err(_) => Value::new(None, number.to_string()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => Value::new(None, number),
                Err(_) => Value::new(None, number.to_string()),
            },
            DeValue::Boolean(given) => Value::new(None, given),
            DeValue::Datetime(time) => Value::new(None, time.to_string()),
            DeValue::Array(array) => {
                let values: Vec<Value> = array
                    .into_iter()
                    .enumerate()
                    .map(|(at, value)| {
                        let here = format!("{path}[{at}]");
                        self.places.insert(here.clone(), self.lines.place(value.span().start));
                        self.value(&here, value)
                    })
                    .collect();
                Value::new(None, values)
            }
            DeValue::Table(table) => {
                let values = self.table(path, table);
                match Reference::read(&values, self.lines.folder()) {
                    Some(reference) => reference.fold(),
                    None => values.into(),
                }
            }
        }
    }
}

struct Lines<'a> {
    path: PathBuf,
    text: &'a str,
}

impl<'a> Lines<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        Self { path: path.to_owned(), text }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place::File { path: self.path.clone(), line, column }
    }
}
