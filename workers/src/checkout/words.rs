//! What git says, in a form for people: its own words without secrets, advice or paths of this machine.

use std::path::Path;

use super::program::Said;

/// The longest reason that is handed on, in characters.
const REASON_CHARS_MAX: usize = 400;

/// Why git failed, as a sentence: its last words of complaint, or the bound that it was ended at.
pub(super) fn reason(said: &Said, folder: &Path) -> String {
    if let Some(bound) = &said.ended_at {
        return format!("git was ended: {bound}.");
    }
    let complaint = |line: &&String| {
        ["fatal: ", "error: ", "ERROR: ", "remote: "].iter().any(|word| line.starts_with(word))
    };
    let mut complaints: Vec<&String> = said.lines.iter().filter(complaint).collect();
    if complaints.is_empty() {
        complaints.extend(said.lines.last());
    }
    complaints.dedup();
    let last = complaints.len().saturating_sub(3);
    let words: Vec<String> = complaints[last..].iter().map(|line| redacted(line, folder)).collect();
    if words.is_empty() {
        return "git ended with an error and said nothing.".to_owned();
    }
    let text: String = words.join("; ").chars().take(REASON_CHARS_MAX).collect();
    format!("git said: {}.", text.trim_end_matches('.'))
}

/// Without the user and password of an address, and without the place of the cache.
fn redacted(line: &str, folder: &Path) -> String {
    let line = line.replace(&folder.display().to_string(), "the cache");
    let words: Vec<String> = line.split(' ').map(without_user).collect();
    words.join(" ")
}

fn without_user(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => word.to_owned(),
    }
}

/// A line of git's that counts something, such as `Receiving objects:  45% (9/20)`.
pub(super) fn progress(line: &str) -> Option<String> {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    let (what, rest) = line.split_once(':')?;
    let share = rest.trim().split_once('%')?.0;
    share.parse::<u8>().ok().map(|share| format!("{}: {share} %", what.trim().to_lowercase()))
}

/// Whether a complaint is about objects that are missing or damaged, in our own copy or on the other side.
pub(super) fn speaks_of_damage(reason: &str) -> bool {
    const WORDS: [&str; 10] = [
        "bad object",
        "bad ref",
        "corrupt",
        "did not send all necessary objects",
        "is empty",
        "loose object",
        "missing blob object",
        "not a git repository: 'repository.git'",
        "packfile",
        "unable to read",
    ];
    WORDS.iter().any(|word| reason.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Said {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Said { success: false, output: Vec::new(), lines, ended_at: None }
    }

    #[test]
    fn git_is_quoted_without_secrets_or_places() {
        let said = said(&[
            "Receiving objects: 3% (1/30)",
            "fatal: unable to access 'https://me:secret@example.org/x/': no route in /cache/ab/repository.git",
            "and the repository exists.",
        ]);
        let reason = reason(&said, Path::new("/cache/ab"));
        assert_eq!(
            reason,
            "git said: fatal: unable to access 'https://example.org/x/': no route in the cache/repository.git."
        );
    }

    #[test]
    fn a_git_that_said_nothing_is_told_of_all_the_same() {
        assert!(reason(&said(&[]), Path::new("/x")).contains("said nothing"));
        let bound = Said { ended_at: Some("it was not done after 3 s".to_owned()), ..said(&[]) };
        assert_eq!(reason(&bound, Path::new("/x")), "git was ended: it was not done after 3 s.");
    }

    #[test]
    fn a_count_becomes_a_short_text() {
        let line = "Receiving objects:  45% (9/20), 1.00 MiB | 2.00 MiB/s";
        assert_eq!(progress(line).as_deref(), Some("receiving objects: 45 %"));
        let remote = "remote: Compressing objects: 100% (3/3), done.";
        assert_eq!(progress(remote).as_deref(), Some("compressing objects: 100 %"));
        assert_eq!(progress("fatal: no"), None);
    }
}
