//! The first schema: journal, leases, contacts, tickets, messages, outbox, events, people, seals.
//!
//! Conventions: ids are UUIDs (version 7), times are milliseconds since 1970 in UTC (`*_at`), words are
//! short texts, structures that are never searched are JSON text. No table has a foreign key that
//! cascades: erasing is done on purpose, in `store`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Tables in an order in which they can be made. `{id}` `{bytes}` `{json}` are the two dialects' types.
const TABLES: &[&str] = &[
    // One running daemon each; its heart-beat tells the others that it lives.
    "CREATE TABLE node (
        id {id} PRIMARY KEY, started_at bigint NOT NULL, heart_beat_at bigint NOT NULL)",
    // The right to run a channel's pull and lane. `epoch` grows with every taking.
    "CREATE TABLE lease (
        channel text PRIMARY KEY, epoch bigint NOT NULL, node {id}, expires_at bigint NOT NULL)",
    // Where a channel's pull goes on. Moved only together with the rows that it covers.
    "CREATE TABLE cursor (
        channel text PRIMARY KEY, value text NOT NULL, moved_at bigint NOT NULL)",
    // What a human decided about a channel, and how it was last seen by the node that ran it.
    "CREATE TABLE channel_state (
        channel text PRIMARY KEY, paused bool NOT NULL, paused_by text, paused_at bigint,
        state text NOT NULL, cause text, since bigint NOT NULL,
        last_success_at bigint, last_error_at bigint, last_error text, backlog bigint)",
    // Numbers handed out in commit order: whoever takes one holds the row until the commit.
    "CREATE TABLE counter (name text PRIMARY KEY, value bigint NOT NULL)",
    // The wrapped key of every sealed thing. Without its row a thing can never be read again.
    "CREATE TABLE seal (
        id {id} PRIMARY KEY, master text NOT NULL, wrapped {bytes} NOT NULL)",
    // Sealed bytes that are too large to stand beside their row, in pieces.
    "CREATE TABLE blob (
        owner {id} NOT NULL, piece integer NOT NULL, bytes {bytes} NOT NULL,
        PRIMARY KEY (owner, piece))",
    // What adapters keep (rotated refresh tokens), sealed.
    "CREATE TABLE vault (
        name text PRIMARY KEY, seal {id} NOT NULL, sealed {bytes} NOT NULL, put_at bigint NOT NULL)",
    // Everything that came in, as it came. state: pending, applied, ignored, failed.
    "CREATE TABLE journal (
        id {id} PRIMARY KEY, channel text NOT NULL, dedupe text NOT NULL, node {id} NOT NULL,
        received_at bigint NOT NULL, appended_at bigint NOT NULL,
        state text NOT NULL, reason text, attempts integer NOT NULL, retry_at bigint,
        ended_at bigint, ticket {id},
        transport text NOT NULL, size bigint NOT NULL, seal {id} NOT NULL, sealed {bytes})",
    "CREATE TABLE contact (
        id {id} PRIMARY KEY, name text NOT NULL, language text, note text, version bigint NOT NULL,
        created_at bigint NOT NULL, updated_at bigint NOT NULL, erased_at bigint, merged_into {id})",
    "CREATE TABLE identity (
        id {id} PRIMARY KEY, contact {id} NOT NULL, scheme text NOT NULL, scope text NOT NULL,
        value text NOT NULL, shown text NOT NULL, trust text NOT NULL, created_at bigint NOT NULL)",
    // Addresses to which nothing is sent unasked: hard bounces and complaints.
    "CREATE TABLE suppression (
        scheme text NOT NULL, value text NOT NULL, reason text NOT NULL, added_at bigint NOT NULL,
        PRIMARY KEY (scheme, value))",
    "CREATE TABLE ticket (
        id {id} PRIMARY KEY, number bigint NOT NULL, subject text NOT NULL, status text NOT NULL,
        priority text NOT NULL, queue text, assignee {id}, channel text NOT NULL,
        contact {id} NOT NULL, thread text, language text,
        created_at bigint NOT NULL, updated_at bigint NOT NULL, first_response_at bigint,
        last_inbound_at bigint, last_outbound_at bigint, solved_at bigint, snoozed_until bigint,
        message_count bigint NOT NULL, event_count bigint NOT NULL, version bigint NOT NULL,
        merged_into {id}, linked_to {id}, deleted_at bigint)",
    "CREATE TABLE ticket_tag (
        ticket {id} NOT NULL, tag text NOT NULL, PRIMARY KEY (ticket, tag))",
    // Who may write into a ticket: everybody who wrote to it or was written to in it.
    "CREATE TABLE participant (
        ticket {id} NOT NULL, scheme text NOT NULL, value text NOT NULL, name text,
        since bigint NOT NULL, PRIMARY KEY (ticket, scheme, value))",
    // seq is the commit order of all messages of the store.
    "CREATE TABLE message (
        id {id} PRIMARY KEY, seq bigint NOT NULL, ticket {id} NOT NULL, contact {id},
        direction text NOT NULL, kind text NOT NULL, channel text NOT NULL,
        realm text NOT NULL, remote_id text, reply_to {id},
        author_kind text NOT NULL, author_id {id}, author_name text NOT NULL,
        author_scheme text, author_scope text, author_value text,
        subject text, text text NOT NULL, text_full text, html text,
        sent_at bigint NOT NULL, received_at bigint, edited_at bigint, deleted_at bigint,
        flags text NOT NULL, auth text, routing text NOT NULL, why text NOT NULL, raw {id})",
    // Which message of the remote side is which of ours. Stays when the message is deleted, so that it
    // does not come back at the next poll.
    "CREATE TABLE seen (
        realm text NOT NULL, remote_id text NOT NULL, digest text NOT NULL,
        message {id}, ticket {id}, added_at bigint NOT NULL,
        PRIMARY KEY (realm, remote_id, digest))",
    "CREATE TABLE attachment (
        id {id} PRIMARY KEY, message {id}, position integer NOT NULL, name text NOT NULL,
        media_type text NOT NULL, size bigint NOT NULL, inline bool NOT NULL, content_id text,
        source text, state text NOT NULL, attempts integer NOT NULL, retry_at bigint,
        seal {id} NOT NULL, sealed {bytes}, created_at bigint NOT NULL)",
    // The outbox: one row is one call to a remote service.
    "CREATE TABLE delivery (
        id {id} PRIMARY KEY, seq bigint NOT NULL, channel text NOT NULL, ticket {id} NOT NULL,
        message {id} NOT NULL, part integer NOT NULL, state text NOT NULL, attempt integer NOT NULL,
        not_before bigint, since bigint, error text, realm text NOT NULL, remote_id text,
        to_scheme text NOT NULL, to_value text NOT NULL, outbound text NOT NULL,
        automated bool NOT NULL, unless_answered bool NOT NULL,
        queued_at bigint NOT NULL, updated_at bigint NOT NULL)",
    // The audit trail and the feed of everything that happens; seq is the commit order.
    "CREATE TABLE event (
        seq bigint PRIMARY KEY, id {id} NOT NULL, at bigint NOT NULL, kind text NOT NULL,
        ticket {id}, ticket_seq bigint, message {id}, channel text,
        actor_kind text NOT NULL, actor_id {id}, actor_name text NOT NULL, data text NOT NULL)",
    // Acknowledgements sent, for the loop guard.
    "CREATE TABLE autoreply (
        id {id} PRIMARY KEY, channel text NOT NULL, scheme text NOT NULL, value text NOT NULL,
        sent_at bigint NOT NULL)",
    "CREATE TABLE person (
        id {id} PRIMARY KEY, name text NOT NULL, email text NOT NULL, role text NOT NULL,
        password text, created_at bigint NOT NULL, disabled_at bigint)",
    "CREATE TABLE token (
        id {id} PRIMARY KEY, name text NOT NULL, role text NOT NULL, person {id}, hash text NOT NULL,
        created_at bigint NOT NULL, expires_at bigint, last_used_at bigint, revoked_at bigint)",
    // Console sessions and one-time sign-in links (kind = session, link), hashed.
    "CREATE TABLE session (
        hash text PRIMARY KEY, kind text NOT NULL, person {id} NOT NULL, created_at bigint NOT NULL,
        used_at bigint NOT NULL, expires_at bigint NOT NULL)",
    // What was answered to which Idempotency-Key. status 0 = under way.
    "CREATE TABLE idempotency (
        principal text NOT NULL, action text NOT NULL, key text NOT NULL, fingerprint text NOT NULL,
        status integer NOT NULL, answer text NOT NULL, created_at bigint NOT NULL,
        PRIMARY KEY (principal, action, key))",
];

const INDEXES: &[&str] = &[
    // The same transport unit is stored once.
    "CREATE UNIQUE INDEX journal_dedupe ON journal (channel, dedupe)",
    "CREATE INDEX journal_pending ON journal (node, id) WHERE state = 'pending'",
    "CREATE INDEX journal_failed ON journal (id) WHERE state = 'failed'",
    // One address is one contact.
    "CREATE UNIQUE INDEX identity_address ON identity (scheme, scope, value)",
    "CREATE INDEX identity_contact ON identity (contact)",
    "CREATE UNIQUE INDEX ticket_number ON ticket (number)",
    // One conversation of a service has one open ticket, whichever node opens it.
    "CREATE UNIQUE INDEX ticket_open_thread ON ticket (channel, thread)
        WHERE thread IS NOT NULL AND status NOT IN ('solved', 'closed', 'spam') AND merged_into IS NULL AND deleted_at IS NULL",
    "CREATE INDEX ticket_thread ON ticket (channel, thread) WHERE thread IS NOT NULL",
    "CREATE INDEX ticket_contact ON ticket (contact)",
    "CREATE INDEX ticket_updated ON ticket (updated_at, id)",
    "CREATE INDEX ticket_status ON ticket (status, updated_at, id)",
    "CREATE INDEX ticket_tag_tag ON ticket_tag (tag)",
    "CREATE UNIQUE INDEX message_seq ON message (seq)",
    "CREATE INDEX message_ticket ON message (ticket, seq)",
    "CREATE INDEX message_remote ON message (realm, remote_id) WHERE remote_id IS NOT NULL",
    "CREATE INDEX seen_message ON seen (message)",
    "CREATE INDEX attachment_message ON attachment (message, position)",
    "CREATE INDEX attachment_pending ON attachment (retry_at) WHERE state = 'pending'",
    "CREATE INDEX delivery_due ON delivery (channel, not_before) WHERE state = 'queued'",
    "CREATE INDEX delivery_sending ON delivery (channel) WHERE state = 'sending'",
    "CREATE INDEX delivery_message ON delivery (message, part)",
    "CREATE INDEX delivery_ticket ON delivery (ticket, seq)",
    "CREATE INDEX delivery_remote ON delivery (realm, remote_id) WHERE remote_id IS NOT NULL",
    "CREATE UNIQUE INDEX delivery_seq ON delivery (seq)",
    "CREATE INDEX event_ticket ON event (ticket, ticket_seq)",
    "CREATE INDEX autoreply_address ON autoreply (scheme, value, sent_at)",
    "CREATE INDEX autoreply_channel ON autoreply (channel, sent_at)",
    "CREATE UNIQUE INDEX person_email ON person (email)",
    "CREATE UNIQUE INDEX token_hash ON token (hash)",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
];

/// Full text: the terms come from our own analyser, so both databases find the same.
const SEARCH_SQLITE: &str = "CREATE VIRTUAL TABLE search USING fts5 (
    terms, content = '', contentless_delete = 1, tokenize = 'unicode61')";
const SEARCH_POSTGRES: &[&str] = &[
    "CREATE TABLE search (seq bigint PRIMARY KEY, terms tsvector NOT NULL)",
    "CREATE INDEX search_terms ON search USING gin (terms)",
];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let (id, bytes) = if postgres { ("uuid", "bytea") } else { ("blob", "blob") };
        for table in TABLES {
            db.execute_unprepared(&table.replace("{id}", id).replace("{bytes}", bytes)).await?;
        }
        for index in INDEXES {
            db.execute_unprepared(index).await?;
        }
        if postgres {
            for statement in SEARCH_POSTGRES {
                db.execute_unprepared(statement).await?;
            }
        } else {
            db.execute_unprepared(SEARCH_SQLITE).await?;
        }
        for name in ["feed", "ticket", "delivery"] {
            let start = format!("INSERT INTO counter (name, value) VALUES ('{name}', 0)");
            db.execute_unprepared(&start).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let names = TABLES.iter().filter_map(|table| table.split_whitespace().nth(2));
        for name in names.chain(["search"]) {
            db.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        }
        Ok(())
    }
}
