//! The tables of a batch: the packages that are asked about, and what came of each. Both are lines of columns parted by
//! tabs under a line of their names, so that a spreadsheet, `cut` and `git diff` read them. It knows nothing of how a
//! package is checked.

use std::path::Path;

use anyhow::{Context, bail};
use countersign_core::facts::fits;

/// One package to check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The package.
    pub(super) name: String,
    /// The version.
    pub(super) version: String,
    /// OWNER/NAME, a URL or a path; empty: the package's own field.
    pub(super) repository: String,
    /// The tag; empty: the one that the version proposes.
    pub(super) tag: String,
    /// The package's folder; empty: found by its name.
    pub(super) directory: String,
    /// A .tgz to check in place of what the registry holds; empty: the registry's.
    pub(super) tarball: String,
}

impl Row {
    /// `name@version`.
    pub(super) fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn key(&self) -> [&str; 6] {
        [&self.name, &self.version, &self.repository, &self.tag, &self.directory, &self.tarball]
    }
}

/// Reads the packages. The first line names the columns: `name` and `version` have to be there, `repository` (or
/// `github`), `tag`, `directory` and `tarball` may be, others are passed over.
///
/// # Errors
/// Names the line that cannot be used.
pub(super) fn read_rows(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("`{}` cannot be read", path.display()))?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_content(line));
    let (_, header) = lines.next().with_context(|| format!("`{}` is empty", path.display()))?;
    let columns: Vec<&str> = header.split('\t').map(str::trim).collect();
    let column = |names: &[&str]| columns.iter().position(|column| names.contains(column));
    let (Some(name), Some(version)) = (column(&["name"]), column(&["version"])) else {
        bail!(
            "the first line of `{}` has no columns `name` and `version`; columns are parted by tabs",
            path.display()
        );
    };
    let others =
        [&["repository", "github"][..], &["tag"], &["directory"], &["tarball"]].map(column);
    let mut rows = Vec::new();
    for (number, line) in lines {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let field = |at: Option<usize>| {
            at.and_then(|at| fields.get(at)).map(|text| (*text).to_owned()).unwrap_or_default()
        };
        let row = Row {
            name: field(Some(name)),
            version: field(Some(version)),
            repository: field(others[0]),
            tag: field(others[1]),
            directory: field(others[2]),
            tarball: field(others[3]),
        };
        if row.name.is_empty() || row.version.is_empty() {
            bail!("line {} of `{}` has no name or no version", number + 1, path.display());
        }
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn is_content(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// The columns of the results, in order.
const COLUMNS: [&str; 20] = [
    "name",
    "version",
    "repository",
    "tag",
    "directory",
    "tarball",
    "verdict",
    "class",
    "level",
    "reason",
    "plan",
    "fetch",
    "checkout",
    "install",
    "build",
    "pack",
    "compare",
    "total",
    "path",
    "message",
];

/// What came of one package: a line of the results.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Line {
    /// `pass`, `fail`, `inconclusive` or `error`.
    pub(super) verdict: String,
    /// The class of a fail.
    pub(super) class: String,
    /// The level.
    pub(super) level: String,
    /// The codes that stand in the verdict, the deciding one first.
    pub(super) reason: String,
    /// How it was built, in a few words.
    pub(super) plan: String,
    /// Seconds of fetch, checkout, install, build, pack, compare, and of all.
    pub(super) seconds: [String; 7],
    /// The first path that differs.
    pub(super) path: String,
    /// The sentence.
    pub(super) message: String,
}

/// Results with the rows that they are about.
pub(super) type Results = Vec<(Row, Line)>;

/// Reads the results of a former run; a last line that was not written whole is passed over, and its package is checked
/// again. No file: no results.
///
/// # Errors
/// A file with other columns: it is not ours to write to.
pub(super) fn read_results(path: &Path) -> anyhow::Result<Results> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("`{}` cannot be read", path.display()));
        }
    };
    let mut lines = text.split_inclusive('\n');
    match lines.next() {
        None => return Ok(Vec::new()),
        Some(header) if header.trim_end().split('\t').eq(COLUMNS) => {}
        Some(_) => bail!(
            "`{}` is no table of results of this program; name another with --results",
            path.display()
        ),
    }
    let whole = lines.filter_map(|line| line.strip_suffix('\n'));
    Ok(whole.filter_map(parse_line).collect())
}

fn parse_line(line: &str) -> Option<(Row, Line)> {
    let mut fields = line.split('\t').map(str::to_owned);
    let mut next = || fields.next();
    let row = Row {
        name: next()?,
        version: next()?,
        repository: next()?,
        tag: next()?,
        directory: next()?,
        tarball: next()?,
    };
    let (verdict, class, level, reason, plan) = (next()?, next()?, next()?, next()?, next()?);
    let seconds = [next()?, next()?, next()?, next()?, next()?, next()?, next()?];
    let line =
        Line { verdict, class, level, reason, plan, seconds, path: next()?, message: next()? };
    Some((row, line))
}

/// The line of the columns' names.
pub(super) fn header() -> String {
    format!("{}\n", COLUMNS.join("\t"))
}

/// A line of the results. What stands in a field can part neither columns nor lines.
pub(super) fn written(row: &Row, line: &Line) -> String {
    let mut fields: Vec<&str> = row.key().into();
    fields.extend([&*line.verdict, &line.class, &line.level, &line.reason, &line.plan]);
    fields.extend(line.seconds.iter().map(String::as_str));
    fields.extend([&*line.path, &line.message]);
    let clean = |field: &&str| {
        field.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    };
    format!("{}\n", fields.iter().map(clean).collect::<Vec<_>>().join("\t"))
}

/// Whether a name or `name@version` is meant by a pattern, in which `*` stands for any text.
pub(super) fn is_meant(pattern: &str, row: &Row) -> bool {
    fits(pattern, &row.name) || fits(pattern, &row.spec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn row(name: &str, version: &str) -> Row {
        Row {
            name: name.to_owned(),
            version: version.to_owned(),
            repository: "o/r".to_owned(),
            tag: "v1".to_owned(),
            directory: String::new(),
            tarball: String::new(),
        }
    }

    #[test]
    fn a_table_is_read_by_the_names_of_its_columns() {
        let table = file(
            "# packages\nversion\tname\tkind\tgithub\ttag\n1.0.0\ta\tx\to/r\tv1\n\n1.0.0\ta\ty\to/r\tv1\n2.0.0\t@s/b\n",
        );
        let rows = read_rows(table.path()).unwrap();
        let scoped = Row { repository: String::new(), tag: String::new(), ..row("@s/b", "2.0.0") };
        assert_eq!(rows, [row("a", "1.0.0"), scoped], "the same row twice is one");
    }

    #[test]
    fn a_table_that_cannot_be_used_names_the_line() {
        for (text, named) in [
            ("", "is empty"),
            ("name,version\na,1\n", "no columns `name` and `version`"),
            ("name\tversion\na\t1.0.0\nb\n", "line 3"),
        ] {
            let error = read_rows(file(text).path()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn results_come_back_as_written_and_half_a_line_is_passed_over() {
        let line =
            Line { verdict: "fail".to_owned(), path: "a\tb\nc".to_owned(), ..Line::default() };
        let whole = written(&row("a", "1.0.0"), &line);
        let half = written(&row("b", "1.0.0"), &line);
        let results = file(&format!("{}{whole}{}", header(), half.trim_end()));
        let read = read_results(results.path()).unwrap();
        assert_eq!(read, [(row("a", "1.0.0"), Line { path: "a b c".to_owned(), ..line })]);
        assert!(read_results(file("name\tversion\n").path()).is_err());
        assert!(read_results(Path::new("/nonexistent/results")).unwrap().is_empty());
    }

    #[test]
    fn a_pattern_means_names_and_versions() {
        let scoped = row("@s/b", "2.0.0");
        for (pattern, meant) in [
            ("@s/b", true),
            ("@s/*", true),
            ("@s/b@2.0.0", true),
            ("@s/b@2.*", true),
            ("b", false),
            ("*@1.*", false),
        ] {
            assert_eq!(is_meant(pattern, &scoped), meant, "{pattern}");
        }
    }
}
