//! Full text: one analyser in Rust ([`crate::desk::terms`]), so that SQLite (FTS5) and PostgreSQL (tsvector)
//! find the same. A search is the AND of its words; a word ending in `*` is a prefix. The only file with two
//! dialects.

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use super::StoreError;
use crate::desk::terms::{is_ideograph, joined_terms, terms};

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
        let values = part.iter().flat_map(|(seq, text)| [(*seq).into(), joined_terms(text).into()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_cannot_break_out_of_its_quotes() {
        for hostile in ["\" OR 1", "a' | b", "NEAR(a b)", "*", "^x", "a:*"] {
            let words = query_terms(hostile);
            assert!(words.iter().all(|(word, _)| word.chars().all(char::is_alphanumeric)));
        }
        assert_eq!(query_terms("密 pass*"), [("密".to_owned(), true), ("pass".to_owned(), true)]);
    }
}
