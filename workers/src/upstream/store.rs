//! What was once fetched from a registry, on disk, shared by all jobs of a machine: tarballs under their SHA-512, and
//! packuments under the registry and credential that answered with them. Written whole or not at all, checked when
//! read. It knows nothing of HTTP.

use std::{
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use countersign_core::{
    PackageName, Sha256, Sha512, Timestamp, limits::REGISTRY_CACHE_STALE_SECONDS,
};
use serde::{Deserialize, Serialize};
use sha2::Digest;
use tempfile::NamedTempFile;

use super::Registry;

/// The folder of what was fetched. It belongs to the worker alone: what is in it may be private to a registry.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// A packument as it lies on disk: this line as JSON, then the document.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    fetched: Timestamp,
    etag: Option<String>,
    sha256: Sha256,
}

/// A packument that was fetched before.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// When it was fetched, or last found to be still right.
    pub(crate) fetched: Timestamp,
    /// The registry's name for this state of it.
    pub(crate) etag: Option<String>,
    /// The document.
    pub(crate) body: Vec<u8>,
}

impl Store {
    /// Opens the store below that folder and makes what is missing, closed to others.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let store = Self { folder: folder.to_owned() };
        for part in ["tarballs", "packuments", "incoming"] {
            std::fs::create_dir_all(store.folder.join(part))?;
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&store.folder, closed)?;
        Ok(store)
    }

    /// A file for bytes that are on their way. It vanishes unless it is kept.
    pub(crate) fn incoming(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(self.folder.join("incoming"))
    }

    /// Keeps a tarball whose bytes were found to have this digest.
    pub(crate) fn keep_tarball(&self, file: NamedTempFile, sha512: &Sha512) -> io::Result<PathBuf> {
        let path = self.tarball_path(sha512);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder of the store"))?;
        file.persist(&path)?;
        Ok(path)
    }

    /// A kept tarball, opened at its beginning after all its bytes were hashed again. One that has changed since is
    /// removed and is as good as not there.
    pub(crate) fn tarball(&self, sha512: &Sha512) -> io::Result<Option<(std::fs::File, u64)>> {
        let path = self.tarball_path(sha512);
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut hash = sha2::Sha512::new();
        let bytes = io::copy(&mut file, &mut HashWriter(&mut hash))?;
        if Sha512::from_bytes(hash.finalize().into()) != *sha512 {
            tracing::warn!(path = %path.display(), "a cached tarball had changed on disk and was removed");
            std::fs::remove_file(&path)?;
            return Ok(None);
        }
        file.rewind()?;
        // It was used: of what must go, it goes last. A file system that keeps no times only loses that order.
        let _order = file.set_modified(SystemTime::now());
        Ok(Some((file, bytes)))
    }

    /// Removes what workers that are gone left half-downloaded, and the least lately used files until what is left is
    /// no larger than the limit. Gives the number of bytes that were freed.
    pub(crate) fn trim(&self, limit_bytes: u64, now: SystemTime) -> io::Result<u64> {
        let mut freed = 0;
        let stale = Duration::from_secs(REGISTRY_CACHE_STALE_SECONDS);
        for file in files(&self.folder.join("incoming"))? {
            if now.duration_since(file.used).is_ok_and(|age| age > stale) {
                freed += file.remove()?;
            }
        }
        let mut kept = files(&self.folder.join("tarballs"))?;
        kept.extend(files(&self.folder.join("packuments"))?);
        kept.sort_by_key(|file| file.used);
        let mut total: u64 = kept.iter().map(|file| file.bytes).sum();
        for file in kept {
            if total <= limit_bytes {
                break;
            }
            total -= file.bytes;
            freed += file.remove()?;
        }
        Ok(freed)
    }

    /// Keeps a packument.
    pub(crate) fn keep_packument(
        &self,
        registry: &Registry,
        name: &PackageName,
        remembered: &Remembered,
    ) -> io::Result<()> {
        let path = self.packument_path(registry, name);
        std::fs::create_dir_all(path.parent().expect("it lies in a folder of the store"))?;
        let label = Label {
            fetched: remembered.fetched,
            etag: remembered.etag.clone(),
            sha256: Sha256::of(&remembered.body),
        };
        let mut file = self.incoming()?;
        serde_json::to_writer(&mut file, &label)?;
        file.write_all(b"\n")?;
        file.write_all(&remembered.body)?;
        file.persist(&path)?;
        Ok(())
    }

    /// A packument that was kept; none where there is none or its bytes have changed.
    pub(crate) fn packument(&self, registry: &Registry, name: &PackageName) -> Option<Remembered> {
        let mut body = std::fs::read(self.packument_path(registry, name)).ok()?;
        let end = body.iter().position(|byte| *byte == b'\n')?;
        let label: Label = serde_json::from_slice(&body[..end]).ok()?;
        body.drain(..=end);
        (Sha256::of(&body) == label.sha256).then_some(Remembered {
            fetched: label.fetched,
            etag: label.etag,
            body,
        })
    }

    fn tarball_path(&self, sha512: &Sha512) -> PathBuf {
        let hex = sha512.to_hex();
        self.folder.join("tarballs").join(&hex[..2]).join(hex)
    }

    /// Two registries, or one registry as two accounts see it, never share a document.
    fn packument_path(&self, registry: &Registry, name: &PackageName) -> PathBuf {
        let secret = registry.authorization();
        let secret = secret.as_ref().map_or("", |secret| secret.expose());
        let whose = Sha256::of(format!("{}\n{secret}", registry.url()).as_bytes()).to_hex();
        self.folder.join("packuments").join(&whose[..32]).join(format!("{}.json", name.escaped()))
    }
}

/// One file of the store.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Kept {
    /// Removes it; one that another worker has removed meanwhile is gone all the same.
    fn remove(self) -> io::Result<u64> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(self.bytes),
        }
    }
}

/// The files of a folder and of the folders in it.
fn files(folder: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        if about.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(Kept { path: entry.path(), bytes: about.len(), used: about.modified()? });
        }
    }
    Ok(found)
}

/// A writer that only hashes.
pub(crate) struct HashWriter<'a, D: Digest>(pub(crate) &'a mut D);

impl<D: Digest> Write for HashWriter<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_tarball_that_changed_on_disk_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = Sha512::of(b"bytes");
        let mut file = store.incoming().unwrap();
        file.write_all(b"bytes").unwrap();
        let path = store.keep_tarball(file, &digest).unwrap();
        let (mut kept, bytes) = store.tarball(&digest).unwrap().unwrap();
        let mut text = String::new();
        kept.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), bytes), ("bytes", 5));
        std::fs::write(&path, b"other").unwrap();
        assert!(store.tarball(&digest).unwrap().is_none());
        assert!(!path.exists());
    }

    #[test]
    fn a_packument_is_seen_only_by_the_account_that_it_was_shown_to() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let open = Registry::parse("https://npm.example/").unwrap();
        let closed = open.clone().with_token("t");
        let name: PackageName = "@a/b".parse().unwrap();
        let document =
            Remembered { fetched: Timestamp::from_seconds(7), etag: None, body: b"{\n}".to_vec() };
        store.keep_packument(&closed, &name, &document).unwrap();
        assert!(store.packument(&open, &name).is_none());
        assert_eq!(store.packument(&closed, &name).unwrap().body, b"{\n}");
        let path = store.packument_path(&closed, &name);
        let changed = std::fs::read_to_string(&path).unwrap().replace("\n{", "\n[");
        std::fs::write(&path, changed).unwrap();
        assert!(store.packument(&closed, &name).is_none(), "its bytes had changed");
    }

    #[test]
    fn the_least_lately_used_go_first_and_only_as_many_as_must() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let start = SystemTime::now();
        let digests = ["a", "b", "c"].map(|text| Sha512::of(text.as_bytes()));
        for (index, text) in ["a", "b", "c"].iter().enumerate() {
            let mut file = store.incoming().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let used = start - Duration::from_secs(100 - index as u64);
            file.as_file().set_modified(used).unwrap();
            store.keep_tarball(file, &digests[index]).unwrap();
        }
        let left = folder.path().join("incoming/left");
        std::fs::write(&left, "half").unwrap();
        assert!(store.tarball(&digests[0]).unwrap().is_some(), "the oldest is used again");
        assert_eq!(store.trim(2, start).unwrap(), 1);
        assert!(store.tarball(&digests[1]).unwrap().is_none());
        assert!(store.tarball(&digests[0]).unwrap().is_some() && left.exists());
        let later = start + Duration::from_secs(REGISTRY_CACHE_STALE_SECONDS + 60);
        assert_eq!(store.trim(2, later).unwrap(), 4, "what a dead worker left");
    }
}
