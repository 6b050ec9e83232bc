//! The demo for a person: everything is set up and a tampered and an honest release are staged, then the pages are there
//! to be looked at and the honest one to be approved, until Ctrl-C.

use std::path::Path;

use super::{maintainer, story::Stage};

/// Sets up, stages, and waits for Ctrl-C.
pub(super) async fn run(folder: &Path, tools: &Path) -> anyhow::Result<()> {
    let mut stage = Stage::set_up(folder, tools).await?;
    stage.build_as_ci().await?;
    let tampered = stage.tampered_release().await?;
    stage.sign_in().await?;
    stage.reject(&tampered).await?;
    let honest = stage.honest_release().await?;
    stage.narrator.step("Now it is yours");
    let url = &stage.service.url;
    stage.narrator.say(&format!("tampered: {url}/stages/{tampered}"));
    stage.narrator.say(&format!("honest:   {url}/stages/{honest}"));
    stage.narrator.say(&format!(
        "sign in as {} with the password {}",
        maintainer::NAME,
        stage.maintainer.password
    ));
    stage.narrator.say("press Enter for a one-time code, Ctrl-C to end");
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(tokio::io::stdin()));
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => { interrupted?; break }
            line = lines.next_line() => match line? {
                Some(_) => stage.narrator.say(&format!("code: {}", stage.maintainer.code()?)),
                None => { tokio::signal::ctrl_c().await?; break }
            }
        }
    }
    stage.service.stop().await
}
