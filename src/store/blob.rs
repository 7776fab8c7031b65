//! Sealed bytes: beside their row up to 64 KiB, in pieces of the table `blob` above that.
//!
//! A table and not files: bytes and row are durable together, every node sees them, one backup has all.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _,
};
use uuid::Uuid;

use super::StoreError;
use super::entity::{blob, seal};
use super::seal::SealKey;

/// Larger sealed bytes do not stand in the row: lists of rows stay light.
const INLINE_BYTES_MAX: usize = 64 * 1024;
const PIECE_BYTES: usize = 256 * 1024;

/// Bytes ready to be written: `inline`, or `pieces` that belong to `owner`.
pub(super) struct Packed {
    pub(super) inline: Option<Vec<u8>>,
    owner: Uuid,
    pieces: Vec<Vec<u8>>,
}

/// Seals `plain` for the row `owner`. Costs as much memory again; call it outside a transaction.
pub(super) fn pack(key: &SealKey, owner: Uuid, plain: &[u8]) -> Result<Packed, StoreError> {
    if plain.len() <= INLINE_BYTES_MAX {
        return Ok(Packed { inline: Some(key.seal(plain)?), owner, pieces: Vec::new() });
    }
    let pieces =
        plain.chunks(PIECE_BYTES).map(|piece| key.seal(piece)).collect::<Result<_, _>>()?;
    Ok(Packed { inline: None, owner, pieces })
}

/// Writes the pieces, if there are any; the caller writes `inline` with its row.
pub(super) async fn insert<C: ConnectionTrait>(db: &C, packed: &Packed) -> Result<(), StoreError> {
    for (number, bytes) in packed.pieces.iter().enumerate() {
        let piece = i32::try_from(number).map_err(|error| StoreError::Database(error.into()))?;
        let row = blob::Model { owner: packed.owner, piece, bytes: bytes.clone() };
        blob::Entity::insert(row.into_active_model()).exec_without_returning(db).await?;
    }
    Ok(())
}

/// The bytes in clear. `None`: the key was destroyed.
pub(super) async fn load<C: ConnectionTrait>(
    db: &C,
    keys: &super::MasterKeys,
    owner: Uuid,
    seal: Uuid,
    inline: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(row) = seal::Entity::find_by_id(seal).one(db).await? else { return Ok(None) };
    let key = keys.open(&row)?;
    if let Some(sealed) = inline {
        return key.unseal(sealed).map(Some);
    }
    let pieces = blob::Entity::find()
        .filter(blob::Column::Owner.eq(owner))
        .order_by_asc(blob::Column::Piece)
        .all(db)
        .await?;
    beside(pieces.len() * PIECE_BYTES, move || {
        let mut plain = Vec::with_capacity(pieces.len() * PIECE_BYTES);
        for piece in pieces {
            plain.extend(key.unseal(&piece.bytes)?);
        }
        Ok(Some(plain))
    })
    .await
}

/// Seals or unseals so many bytes: where they are many, in a thread for work that takes long. A mail of
/// fifty megabytes must not keep a lease from being renewed.
pub(super) async fn beside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if bytes <= PIECE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Database(error.into())),
    }
}

/// Forgets the pieces of a row; its seal is destroyed by the caller.
pub(super) async fn delete<C: ConnectionTrait>(db: &C, owner: Uuid) -> Result<(), StoreError> {
    blob::Entity::delete_many().filter(blob::Column::Owner.eq(owner)).exec(db).await?;
    Ok(())
}
