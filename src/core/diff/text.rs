//! A diff as plain text, in the form of `diff -u`, for a terminal or a log. It is to be read by people: lines are cut and
//! characters written out, so that it is no input for `patch`.

use std::fmt::{self, Write};

use super::{FileDiff, Hunk, Line, LineRange, Sizes, TextDiff, visible::escaped};
use crate::limits::DIFF_BYTES_MAX;

impl FileDiff {
    /// The diff under the name of its file; every line ends in a newline.
    pub fn to_unified_text(&self, path: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, path).expect("writing to a text does not fail");
        out
    }

    fn write(&self, out: &mut String, path: &str) -> fmt::Result {
        let path = escaped(path);
        match self {
            Self::Text(diff) => diff.write(out, &path),
            Self::Binary(sizes) => {
                writeln!(out, "{path} is no text: {}.", sentence(*sizes))
            }
            Self::TooLarge(sizes) => {
                writeln!(out, "{path} has more than {DIFF_BYTES_MAX} bytes: {}.", sentence(*sizes))
            }
        }
    }
}

fn sentence(sizes: Sizes) -> String {
    let side = |name, bytes: Option<u64>| match bytes {
        Some(bytes) => format!("{name} {bytes} bytes"),
        None => format!("{name} absent"),
    };
    format!("{}, {}", side("staged", sizes.staged), side("rebuilt", sizes.rebuilt))
}

impl TextDiff {
    fn write(&self, out: &mut String, path: &str) -> fmt::Result {
        let name = |side, bytes: Option<u64>| match bytes {
            Some(_) => format!("{side}/{path}"),
            None => "/dev/null".to_owned(),
        };
        writeln!(out, "--- {}", name("rebuilt", self.sizes.rebuilt))?;
        writeln!(out, "+++ {}", name("staged", self.sizes.staged))?;
        for hunk in &self.hunks {
            hunk.write(out)?;
        }
        match self.lines_left_out {
            0 => Ok(()),
            1 => writeln!(out, "… 1 more line is left out"),
            count => writeln!(out, "… {count} more lines are left out"),
        }
    }
}

impl Hunk {
    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "@@ -{} +{} @@", self.rebuilt, self.staged)?;
        self.lines.iter().try_for_each(|line| line.write(out))
    }
}

impl Line {
    fn write(&self, out: &mut String) -> fmt::Result {
        out.push(self.side.sign());
        for piece in &self.pieces {
            out.push_str(&piece.text);
            if piece.left_out > 0 {
                write!(out, "…[{} characters left out]…", piece.left_out)?;
            }
        }
        out.push('\n');
        if self.without_newline {
            out.push_str("\\ No newline at end of file\n");
        }
        Ok(())
    }
}

impl fmt::Display for LineRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}", self.start),
            count => write!(f, "{},{count}", self.start),
        }
    }
}
