//! Command lines as they stand in package scripts and workflow files, parted into plain words. Nothing is evaluated: a
//! command is read up to the first word in which a shell would do more than part words.

/// One command of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its words, up to the first that a shell would have to read.
    pub words: Vec<String>,
    /// Whether these are all of its words.
    pub whole: bool,
}

/// The commands of a text, which a shell would run one after the other: parted by newlines, `&&` and `;`.
pub fn commands(text: &str) -> Vec<Command> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let parts = lines.flat_map(parts).map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).map(|part| words(&part)).collect()
}

/// Parts a line at `&&` and `;` outside of quotes.
fn parts(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, ';') => {
                found.push(String::new());
                continue;
            }
            (None, '&') if characters.peek() == Some(&'&') => {
                characters.next();
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().expect("there is always one").push(character);
    }
    found
}

/// The words of one command. Quotes around a whole word are taken off; what else a shell gives a meaning to ends it.
fn words(command: &str) -> Command {
    let mut words = Vec::new();
    for word in command.split_whitespace() {
        let bare = ['"', '\'']
            .iter()
            .find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(word);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./@:=^+,".contains(&b);
        // A pattern of a package manager's own (`--filter './packages/*'`), which quotes keep from the shell.
        let pattern =
            bare.len() < word.len() && bare.bytes().all(|b| plain(b) || b"*!{}~<>".contains(&b));
        if bare.is_empty() || !(bare.bytes().all(plain) || pattern) {
            return Command { words, whole: false };
        }
        words.push(bare.to_owned());
    }
    Command { words, whole: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let shown =
            |command: Command| command.words.join(" ") + if command.whole { "" } else { " …" };
        commands(text).into_iter().map(shown).collect()
    }

    #[test]
    fn plain_commands_are_parted_and_the_rest_is_not_looked_into() {
        assert_eq!(
            read("npm run build && npm publish dist"),
            ["npm run build", "npm publish dist"]
        );
        assert_eq!(read("npm ci\nnpm run build\n# done\n"), ["npm ci", "npm run build"]);
        assert_eq!(
            read("cd dist; npm publish --tag 'next'"),
            ["cd dist", "npm publish --tag next"]
        );
        assert_eq!(read("git commit -am $v && npm publish"), ["git commit -am …", "npm publish"]);
        assert_eq!(read("echo 'a && b' && x"), ["echo …", "x"]);
        assert_eq!(read("npm publish --tag ${{ inputs.tag }}"), ["npm publish --tag …"]);
        assert_eq!(read("npm \\\n  ci"), ["npm ci"]);
        assert_eq!(
            read("pnpm --filter './packages/*' build"),
            ["pnpm --filter ./packages/* build"]
        );
        assert_eq!(read("a | b"), ["a …"]);
        assert_eq!(read("a || b"), ["a …"]);
    }
}
