//! A staged artifact as its registry shows it to whoever may read it: npm's own staging routes, called with the user's
//! token. It knows nothing of what is done with it.

use std::io::Read;

use serde_json::Value;

use super::{Upstream, UpstreamError};

/// The largest answer about one stage.
const ITEM_BYTES_MAX: u64 = 1024 * 1024;

/// What a registry holds back under one stage id.
#[derive(Debug)]
pub struct StagedArtifact {
    /// The registry's description: `packageName`, `version`, `tag`, `createdAt` and more.
    pub item: Value,
    /// The tarball's bytes.
    pub tarball: Vec<u8>,
}

impl Upstream {
    /// Reads `/-/stage/ID` and its tarball from the default registry.
    ///
    /// # Errors
    /// `NotFound` for a stage that is not there or not visible to this token.
    pub async fn staged(
        &self,
        id: &str,
        limit_bytes: u64,
    ) -> Result<StagedArtifact, UpstreamError> {
        let what = format!("stage {id}");
        let item = self.bytes_below(&format!("-/stage/{id}"), &what, ITEM_BYTES_MAX).await?;
        let item = serde_json::from_slice(&item).map_err(|error| {
            UpstreamError::unavailable(&what, format!("its answer is not JSON: {error}"))
        })?;
        let tarball =
            self.bytes_below(&format!("-/stage/{id}/tarball"), &what, limit_bytes).await?;
        Ok(StagedArtifact { item, tarball })
    }

    async fn bytes_below(
        &self,
        path: &str,
        what: &str,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, UpstreamError> {
        let registry = self.registries().default.clone();
        let url = registry
            .below(path)
            .ok_or_else(|| UpstreamError::unavailable(what, "its id makes no address"))?;
        let (file, _, _) =
            self.download(&registry, &url, what, limit_bytes, &mut |_, _| {}).await?;
        let mut bytes = Vec::new();
        file.reopen()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(UpstreamError::Cache)?;
        Ok(bytes)
    }
}
