//! Full text: one analyser in Rust, so that SQLite (FTS5) and PostgreSQL (tsvector) find the same.
//!
//! Words are lower-cased and stripped of accents; runs of Chinese, Japanese and Korean become overlapping
//! pairs, so that a word of two characters is found. A search is the AND of its words; a word ending in `*`
//! is a prefix. The only file with two dialects.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use super::StoreError;

/// Terms longer than this are cut: nobody searches for them, and tsvector refuses them above 2 KiB.
const TERM_CHARS_MAX: usize = 64;
/// Terms of one message: the rest is not searchable. A tsvector holds 1 MiB, of which each term takes a few
/// bytes beside its own.
const TERMS_MAX: usize = 40_000;
const TERMS_BYTES_MAX: usize = 500_000;

/// Makes message `seq` findable by `text`.
pub(super) async fn index(
    tx: &DatabaseTransaction,
    texts: &[(i64, String)],
) -> Result<(), StoreError> {
    let backend = tx.get_database_backend();
    for part in texts.chunks(200) {
        let sql = if backend == DbBackend::Postgres {
            let head = "INSERT INTO search (seq, terms) VALUES ";
            insert_sql(head, "to_tsvector('simple', ", ")", part.len())
        } else {
            insert_sql("INSERT INTO search (rowid, terms) VALUES ", "", "", part.len())
        };
        let values =
            part.iter().flat_map(|(seq, text)| [(*seq).into(), terms(text).join(" ").into()]);
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

/// `head ($1, before $2 after), ($3, …)`.
fn insert_sql(head: &str, before: &str, after: &str, rows: usize) -> String {
    let rows: Vec<String> = (0..rows)
        .map(|row| format!("(${}, {before}${}{after})", row * 2 + 1, row * 2 + 2))
        .collect();
    format!("{head}{}", rows.join(", "))
}

/// Removes for good what was forgotten: FTS5 only marks it, and its terms would stay in the file until a
/// merge happens to pass by. PostgreSQL does it by `VACUUM`, on its own.
pub(super) async fn scrub(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Sqlite {
        tx.execute_unprepared("INSERT INTO search (search) VALUES ('optimize')").await?;
    }
    Ok(())
}

/// Forgets what message `seq` said.
pub(super) async fn remove(tx: &DatabaseTransaction, seq: i64) -> Result<(), StoreError> {
    let backend = tx.get_database_backend();
    let sql = if backend == DbBackend::Postgres {
        "DELETE FROM search WHERE seq = $1"
    } else {
        "DELETE FROM search WHERE rowid = $1"
    };
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [seq.into()])).await?;
    Ok(())
}

/// A condition on `message.seq` that holds for messages matching `query`. `None`: nothing to search for.
pub(super) fn matches(backend: DbBackend, query: &str) -> Option<SimpleExpr> {
    let words = query_terms(query);
    if words.is_empty() {
        return None;
    }
    let (sql, query) = if backend == DbBackend::Postgres {
        (
            "message.seq IN (SELECT seq FROM search WHERE terms @@ to_tsquery('simple', $1))",
            joined(&words, " & ", ":*", "'"),
        )
    } else {
        (
            // sea-query numbers its placeholders for PostgreSQL only.
            "message.seq IN (SELECT rowid FROM search WHERE search MATCH ?)",
            joined(&words, " AND ", "*", "\""),
        )
    };
    Some(Expr::cust_with_values(sql, [query]))
}

fn joined(words: &[(String, bool)], between: &str, prefix: &str, quote: &str) -> String {
    let words = words.iter().map(|(word, is_prefix)| {
        // Terms hold letters and digits only, so quoting is complete.
        format!("{quote}{word}{quote}{}", if *is_prefix { prefix } else { "" })
    });
    words.collect::<Vec<_>>().join(between)
}

/// The terms of a query; `true` = prefix.
fn query_terms(query: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for word in query.split_whitespace() {
        let mut of_word = terms(word);
        let last = of_word.pop();
        found.extend(of_word.into_iter().map(|term| (term, false)));
        if let Some(last) = last {
            // A single Chinese character is the beginning of the pairs that it starts.
            let single = last.chars().count() == 1 && last.chars().all(is_ideograph);
            found.push((last, single || word.ends_with('*')));
        }
    }
    found.truncate(32);
    found
}

/// The terms of a text, in order, with repetitions.
#[must_use]
pub(super) fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let mut word = String::new();
    let mut run: Vec<char> = Vec::new();
    let (mut bytes, mut counted) = (0, 0);
    for c in text.chars().flat_map(char::to_lowercase).chain([' ']) {
        if is_ideograph(c) {
            end_word(&mut word, &mut terms);
            run.push(c);
        } else {
            end_run(&mut run, &mut terms);
            match fold(c) {
                Some(folded) => word.push_str(folded),
                None if c.is_alphanumeric() => word.push(c),
                None => end_word(&mut word, &mut terms),
            }
        }
        bytes += terms.iter().skip(counted).map(String::len).sum::<usize>();
        counted = terms.len();
        if counted >= TERMS_MAX || bytes >= TERMS_BYTES_MAX {
            break;
        }
    }
    terms
}

fn end_word(word: &mut String, terms: &mut Vec<String>) {
    if !word.is_empty() {
        terms.push(word.chars().take(TERM_CHARS_MAX).collect());
        word.clear();
    }
}

/// Overlapping pairs, and the last character alone, so that every character begins a term.
fn end_run(run: &mut Vec<char>, terms: &mut Vec<String>) {
    let room = TERMS_MAX.saturating_sub(terms.len());
    terms.extend(run.windows(2).take(room).map(|pair| pair.iter().collect()));
    if let Some(last) = run.last() {
        terms.push(last.to_string());
    }
    run.clear();
}

/// Chinese, Japanese and Korean characters, which are written without spaces between words.
const fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{323af}')
}

/// Letters with accents, as people type them without; `Some("")` for combining marks.
const fn fold(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' | 'ơ' => "o",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ư' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'œ' => "oe",
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_becomes_pairs_and_words_stay_words() {
        assert_eq!(terms("我忘记密码了"), ["我忘", "忘记", "记密", "密码", "码了", "了"]);
        assert_eq!(terms("Straße, CAFÉ-42!"), ["strasse", "cafe", "42"]);
        assert_eq!(terms("USDT钱包"), ["usdt", "钱包", "包"]);
        assert!(terms(" ,.\u{200b}").is_empty());
    }

    #[test]
    fn a_query_cannot_break_out_of_its_quotes() {
        for hostile in ["\" OR 1", "a' | b", "NEAR(a b)", "*", "^x", "a:*"] {
            let words = query_terms(hostile);
            assert!(words.iter().all(|(word, _)| word.chars().all(char::is_alphanumeric)));
        }
        assert_eq!(query_terms("密 pass*"), [("密".to_owned(), true), ("pass".to_owned(), true)]);
    }
}
