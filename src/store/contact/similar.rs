//! Contacts that may be one person. Nobody is joined by that: an agent decides.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::super::entity::contact;
use super::super::{Store, StoreError};
use super::{ContactBrief, briefs};
use crate::model::ContactId;

/// More are of no help.
const SIMILAR_MAX: u64 = 10;

impl Store {
    /// Others who are called as a contact is, the newest first. No one for a first name: many are called so.
    pub async fn similar_contacts(&self, id: ContactId) -> Result<Vec<ContactBrief>, StoreError> {
        let name = self.contact(id).await?.name;
        if !tells(&name) {
            return Ok(Vec::new());
        }
        let lower = |of: Expr| Expr::expr(Func::lower(of));
        let ids: Vec<Uuid> = contact::Entity::find()
            .select_only()
            .column(contact::Column::Id)
            .filter(lower(Expr::col(contact::Column::Name)).eq(lower(Expr::val(name))))
            .filter(contact::Column::Id.ne(id.uuid()))
            .filter(contact::Column::ErasedAt.is_null())
            .filter(contact::Column::MergedInto.is_null())
            .order_by_desc(contact::Column::Id)
            .limit(SIMILAR_MAX)
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut known = briefs(self.reader(), ids.iter().copied()).await?;
        Ok(ids.iter().filter_map(|id| known.remove(id)).collect())
    }
}

/// Is it more than a first name: two words, or several characters of a script without spaces?
fn tells(name: &str) -> bool {
    let name = name.trim();
    let words = name.split_whitespace().count() > 1;
    words || (name.chars().count() > 1 && name.chars().all(|c| u32::from(c) >= 0x2E80))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_name_tells_nothing() {
        for name in ["Jane Doe", "王小明", "김철수"] {
            assert!(tells(name), "{name}");
        }
        for name in ["Jane", "", "  ", "王", "jane_99"] {
            assert!(!tells(name), "{name}");
        }
    }
}
