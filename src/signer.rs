//! The key that verdicts are signed with: Ed25519, made at the first start in the data folder. It signs the bytes that
//! `countersign_core::attestation` makes and knows nothing of what they say.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use countersign_core::{Sha256, attestation::Envelope};
use ed25519_dalek::{
    Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};

/// The file of the key, inside the data folder.
const FILE_NAME: &str = "signing-key.pem";

/// The key cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file cannot be written or read.
    #[error("the signing key `{path}` cannot be used")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no Ed25519 key.
    #[error("`{0}` holds no Ed25519 key in PKCS#8 PEM form")]
    NoKey(String),
}

/// The key.
pub struct Signer {
    key: SigningKey,
    id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key in this folder, made where there is none.
    ///
    /// # Errors
    /// Where the file can be neither written nor read, or is no key.
    pub fn open(folder: &Path) -> Result<Self, SignerError> {
        let path = folder.join(FILE_NAME);
        let failed = |source| SignerError::File { path: path.display().to_string(), source };
        if !path.exists() {
            create(&path).map_err(failed)?;
        }
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let key = SigningKey::from_pkcs8_pem(&text)
            .map_err(|_| SignerError::NoKey(path.display().to_string()))?;
        let id = key_id(&key.verifying_key());
        Ok(Self { key, id })
    }

    /// The name of the key: SHA-256 of its 32 bytes, as `ed25519:HEX`.
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// The public key, in PEM.
    pub fn public_key_pem(&self) -> String {
        self.key
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .expect("an Ed25519 key has a PEM form")
    }

    /// The public key.
    pub fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The envelope of this statement.
    pub fn seal(&self, statement: &[u8]) -> Envelope {
        Envelope::seal(statement, &self.id, |bytes| self.key.sign(bytes).to_bytes().to_vec())
    }
}

/// The name of a public key.
pub fn key_id(key: &VerifyingKey) -> String {
    format!("ed25519:{}", Sha256::of(key.as_bytes()))
}

/// Writes a fresh key aside and links it into place: of two processes that start at once, both then read the one key that
/// came first, and nobody ever reads half a key.
fn create(path: &Path) -> io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let pem = SigningKey::from_bytes(&seed)
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use countersign_core::attestation::{PAYLOAD_TYPE, pre_authentication};
    use ed25519_dalek::Signature;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Signer::open(folder.path()).unwrap();
        let second = Signer::open(folder.path()).unwrap();
        assert_eq!(first.key_id(), second.key_id());
        let mode = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_envelope_verifies_with_the_public_key_alone_and_no_other_payload_does() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(folder.path()).unwrap();
        let envelope = signer.seal(b"{}");
        let bytes = STANDARD.decode(&envelope.signatures[0].sig).unwrap();
        let signature = Signature::from_slice(&bytes).unwrap();
        let check = |payload: &[u8]| {
            signer
                .public_key()
                .verify_strict(&pre_authentication(PAYLOAD_TYPE, payload), &signature)
        };
        assert!(check(b"{}").is_ok());
        assert!(check(b"{} ").is_err());
        assert_eq!(envelope.signatures[0].keyid, key_id(&signer.public_key()));
    }
}
