//! Contacts in lists, found by a part of their name or of an address.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr, Query};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::super::entity::{contact, contact_tag, identity};
use super::super::{Store, StoreError};
use super::{ContactView, identities, shown, tags_of};

/// Which contacts to list.
#[derive(Debug, Clone, Default)]
pub struct ContactFilter {
    /// Part of the name or of an address, whatever its case.
    pub q: Option<String>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// The last one of the page before.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: u64,
}

impl Store {
    /// A page of contacts, the newest first. Those that were erased or joined with others are not in it.
    pub async fn contacts(&self, filter: &ContactFilter) -> Result<Vec<ContactView>, StoreError> {
        let mut wanted = Condition::all()
            .add(contact::Column::ErasedAt.is_null())
            .add(contact::Column::MergedInto.is_null())
            .add_option(filter.before.map(|before| contact::Column::Id.lt(before)));
        if let Some(q) = &filter.q {
            let of_address = Query::select()
                .column(identity::Column::Contact)
                .from(identity::Entity)
                .and_where(holds(identity::Column::Value, q))
                .to_owned();
            let of_name = holds(contact::Column::Name, q);
            let found = Condition::any().add(of_name);
            wanted = wanted.add(found.add(contact::Column::Id.in_subquery(of_address)));
        }
        for tag in &filter.tags {
            let tagged = Query::select()
                .column(contact_tag::Column::Contact)
                .from(contact_tag::Entity)
                .and_where(contact_tag::Column::Tag.eq(tag))
                .to_owned();
            wanted = wanted.add(contact::Column::Id.in_subquery(tagged));
        }
        let rows = contact::Entity::find()
            .filter(wanted)
            .order_by_desc(contact::Column::Id)
            .limit(filter.limit)
            .all(self.reader())
            .await?;
        let mut known = identities(self.reader(), rows.iter().map(|row| row.id)).await?;
        let mut tags = tags_of(self.reader(), rows.iter().map(|row| row.id)).await?;
        let views = rows.into_iter().map(|row| {
            let identities = known.remove(&row.id).unwrap_or_default();
            let tags = tags.remove(&row.id).unwrap_or_default();
            shown(row, identities, tags)
        });
        Ok(views.collect())
    }
}

/// Does a column hold these words as they stand? `%` and `_` are characters like others.
fn holds(column: impl sea_orm::sea_query::IntoColumnRef, q: &str) -> Expr {
    let words = q.trim().to_lowercase();
    let plain = words.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let pattern = LikeExpr::new(format!("%{plain}%")).escape('\\');
    Expr::expr(Func::lower(Expr::col(column))).like(pattern)
}
