//! A store with very many tickets, each with a customer, an address, a message and its words for the search: copies of
//! the one ticket that is there.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

/// A word that one message of a thousand holds, and one that all hold.
pub const RARE: &str = "鲸鱼";
pub const COMMON: &str = "到账";

/// Makes tickets 2 to `count` in a store that no daemon uses just now.
pub async fn crowd(url: &str, count: u32) {
    let db = Database::connect(url).await.unwrap();
    let crowd = Crowd { postgres: db.get_database_backend() == DbBackend::Postgres, db, count };
    for table in ["contact", "identity", "ticket", "message"] {
        crowd.copy(table).await;
    }
    crowd.index().await;
    // What comes next is numbered behind all of it.
    crowd.run(&format!("UPDATE counter SET value = value + {count}")).await;
    crowd.run("ANALYZE").await;
    crowd.db.close().await.unwrap();
}

struct Crowd {
    db: DatabaseConnection,
    postgres: bool,
    count: u32,
}

impl Crowd {
    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Rows with `n` from 2 on, as `s`.
    fn numbers(&self) -> String {
        let count = self.count;
        if self.postgres {
            format!("(SELECT n FROM generate_series(2, {count}) AS g(n)) AS s")
        } else {
            format!(
                "(WITH RECURSIVE g(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM g WHERE n < {count}) \
                 SELECT n FROM g) AS s"
            )
        }
    }

    /// The id of the n-th row of any table.
    const fn id(&self) -> &'static str {
        if self.postgres {
            "('00000000-0000-4000-8000-' || lpad(to_hex(s.n), 12, '0'))::uuid"
        } else {
            "unhex(printf('00000000000040008000%012x', s.n))"
        }
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        let sql = if self.postgres {
            format!(
                "SELECT column_name::text AS name FROM information_schema.columns WHERE table_name = '{table}'"
            )
        } else {
            format!("SELECT name FROM pragma_table_info('{table}')")
        };
        let asked = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(asked).await.unwrap();
        rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }

    /// What the n-th copy has in a column; the rest is as in the first row.
    fn value(&self, table: &str, column: &str) -> String {
        let moment = format!("t.{column} + s.n * 1000");
        match (table, column) {
            (_, "id") | ("identity" | "ticket" | "message", "contact") | ("message", "ticket") => {
                self.id().to_owned()
            }
            ("contact", "name") => "'Customer ' || s.n".to_owned(),
            ("identity", "value" | "shown") => "'c' || s.n || '@customer.example'".to_owned(),
            ("ticket", "number") => "s.n".to_owned(),
            ("ticket", "thread") | ("message", "raw") => "NULL".to_owned(),
            ("ticket", "status") => {
                "CASE s.n % 10 WHEN 0 THEN 'open' WHEN 1 THEN 'pending' ELSE 'solved' END"
                    .to_owned()
            }
            ("ticket", "priority") => {
                "CASE s.n % 1000 WHEN 0 THEN 'urgent' ELSE 'normal' END".to_owned()
            }
            ("message", "seq") => format!("s.n + {}", self.count),
            ("message", "remote_id") => "'copy' || s.n".to_owned(),
            ("ticket", "created_at" | "updated_at" | "last_inbound_at")
            | ("message", "sent_at" | "received_at") => moment,
            _ => format!("t.{column}"),
        }
    }

    async fn copy(&self, table: &str) {
        let columns = self.columns(table).await;
        assert!(!columns.is_empty(), "no table {table}");
        let values: Vec<_> = columns.iter().map(|column| self.value(table, column)).collect();
        let (numbers, values) = (self.numbers(), values.join(", "));
        let columns = columns.join(", ");
        let first = format!("(SELECT * FROM {table} LIMIT 1) AS t");
        self.run(&format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {numbers} CROSS JOIN {first}"
        ))
        .await;
    }

    async fn index(&self) {
        // The terms of these words: pairs of characters, and the last one alone.
        let words = format!(
            "'{COMMON} 账 wallet number' || s.n || CASE s.n % 1000 WHEN 0 THEN ' {RARE} 鱼' ELSE '' END"
        );
        let (key, words) = if self.postgres {
            ("seq", format!("to_tsvector('simple', {words})"))
        } else {
            ("rowid", words)
        };
        let (numbers, count) = (self.numbers(), self.count);
        self.run(&format!(
            "INSERT INTO search ({key}, terms) SELECT s.n + {count}, {words} FROM {numbers}"
        ))
        .await;
    }
}
