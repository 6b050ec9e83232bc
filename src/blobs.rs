//! Blobs: tarballs and logs, each under its own digest. Written once and never changed; what is read is digested again, so
//! that nobody is given bytes that a disk or a person altered. It knows nothing of whose a blob is.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use countersign_core::{Sha256, Sha512};
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, local::LocalFileSystem, path::Path as Key,
};

/// A blob could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The folder cannot be used.
    #[error("the folder of the blobs, `{folder}`, cannot be used")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no blob of that digest.
    #[error("there is no blob {0}")]
    Missing(String),
    /// What lies there is something else.
    #[error("the blob {0} does not have its digest: the disk or somebody changed it")]
    Damaged(String),
    /// The store of the blobs did not do what it was asked.
    #[error("the blob {name} could not be reached")]
    Store {
        /// Which blob.
        name: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
}

/// The blobs. Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Those in that folder, which is made where it does not exist.
    ///
    /// # Errors
    /// Where the folder can be neither made nor used.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        let failed = |source: std::io::Error| BlobError::Folder {
            folder: folder.display().to_string(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| failed(std::io::Error::other(error)))?
            // What is answered with a digest has to be there after a loss of power.
            .with_fsync(true);
        Ok(Self { store: Arc::new(store) })
    }

    /// Keeps a tarball under its SHA-512.
    pub async fn put_tarball(&self, bytes: Bytes) -> Result<Sha512, BlobError> {
        let (bytes, digest) = digested(bytes, Sha512::of).await;
        self.put(&format!("sha512/{digest}"), bytes).await?;
        Ok(digest)
    }

    /// The tarball of that digest, checked.
    pub async fn tarball(&self, digest: Sha512) -> Result<Bytes, BlobError> {
        let name = format!("sha512/{digest}");
        let bytes = self.get(&name).await?;
        let (bytes, found) = digested(bytes, Sha512::of).await;
        if found == digest { Ok(bytes) } else { Err(BlobError::Damaged(name)) }
    }

    /// Keeps a log under its SHA-256.
    pub async fn put_log(&self, bytes: Bytes) -> Result<Sha256, BlobError> {
        let (bytes, digest) = digested(bytes, Sha256::of).await;
        self.put(&format!("sha256/{digest}"), bytes).await?;
        Ok(digest)
    }

    /// The log of that digest, checked.
    pub async fn log(&self, digest: Sha256) -> Result<Bytes, BlobError> {
        let name = format!("sha256/{digest}");
        let bytes = self.get(&name).await?;
        let (bytes, found) = digested(bytes, Sha256::of).await;
        if found == digest { Ok(bytes) } else { Err(BlobError::Damaged(name)) }
    }

    /// Whether blobs can be written and read.
    pub async fn ping(&self) -> Result<(), BlobError> {
        let digest = self.put_log(Bytes::from_static(b"ready")).await?;
        self.log(digest).await.map(drop)
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&key(name), bytes.into(), options).await {
            // The same digest is the same bytes: somebody else wrote them, whole, before.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(BlobError::Store { name: name.to_owned(), source }),
        }
    }

    async fn get(&self, name: &str) -> Result<Bytes, BlobError> {
        let failed = |source| match source {
            object_store::Error::NotFound { .. } => BlobError::Missing(name.to_owned()),
            source => BlobError::Store { name: name.to_owned(), source },
        };
        self.store.get(&key(name)).await.map_err(failed)?.bytes().await.map_err(failed)
    }
}

/// `sha512/abcd…` lies at `sha512/ab/abcd…`: a folder with a million files is slow to list on many file systems.
fn key(name: &str) -> Key {
    let (kind, digest) = name.split_once('/').expect("every blob has a kind and a digest");
    Key::from(format!("{kind}/{}/{digest}", &digest[..2]))
}

/// The digest, off the threads that answer requests: 128 MB take a fifth of a second.
async fn digested<D: Send + 'static>(
    bytes: Bytes,
    digest: impl FnOnce(&[u8]) -> D + Send + 'static,
) -> (Bytes, D) {
    tokio::task::spawn_blocking(move || {
        let digest = digest(&bytes);
        (bytes, digest)
    })
    .await
    .expect("a digest does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_blob_that_somebody_changed_is_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let digest = blobs.put_tarball(Bytes::from_static(b"tarball")).await.unwrap();
        assert_eq!(blobs.tarball(digest).await.unwrap(), "tarball");
        blobs.put_tarball(Bytes::from_static(b"tarball")).await.unwrap();

        let name = digest.to_string();
        let path = folder.path().join("sha512").join(&name[..2]).join(&name);
        std::fs::write(path, b"tampered").unwrap();
        assert!(matches!(blobs.tarball(digest).await, Err(BlobError::Damaged(_))));
        let unknown = Sha512::of(b"unknown");
        assert!(matches!(blobs.tarball(unknown).await, Err(BlobError::Missing(_))));
    }
}
