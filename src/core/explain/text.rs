//! In what two texts differ, as far as it gives a cause away.

use std::collections::HashSet;

use serde_json::Value;

/// Texts that are longer are not looked through.
const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A line of a sentence is cut after so many characters.
const SHOWN_CHARS_MAX: usize = 80;
/// What compilers and bundlers write of themselves: helpers and banners of TypeScript, Babel, webpack, esbuild, rollup, swc.
const COMPILERS: [&str; 36] = [
    "__awaiter",
    "__generator",
    "__spreadArray",
    "__rest(",
    "__assign",
    "__extends",
    "__importDefault",
    "__importStar",
    "__createBinding",
    "__exportStar",
    "__decorate",
    "__esModule",
    "Object.defineProperty(exports",
    "_interopRequire",
    "_interopNamespace",
    "_classCallCheck",
    "_createClass",
    "_defineProperty",
    "_regenerator",
    "_asyncToGenerator",
    "_async_to_generator",
    "_extends(",
    "@babel/runtime",
    "webpackBootstrap",
    "__webpack_",
    "/******/",
    "__toESM",
    "__toCommonJS",
    "__commonJS",
    "__defProp",
    "__copyProps",
    "createCommonjsModule",
    "getDefaultExportFromCjs",
    "//#region",
    "enerated by",
    "ompiled with",
];
/// Beginnings of absolute paths on machines that people build on.
const ABSOLUTE: [&str; 10] = [
    "/home/",
    "/Users/",
    "/root/",
    "/private/",
    "/tmp/",
    "/var/",
    "/build/",
    "/github/",
    "file:///",
    ":\\",
];

/// A line of the staged text and the one in its place in the rebuilt text.
type Pair<'a> = (&'a str, &'a str);

/// Where only the ends of lines differ.
pub(super) fn line_endings(staged: &str, rebuilt: &str) -> Option<String> {
    let in_lf = |text: &str| text.replace("\r\n", "\n");
    if in_lf(staged) != in_lf(rebuilt) {
        return None;
    }
    let returns = |text: &str| text.matches("\r\n").count();
    let which = if returns(staged) > returns(rebuilt) { "staged" } else { "rebuilt" };
    Some(format!("The {which} file has CRLF where the other has LF."))
}

/// Whether two source maps differ in nothing but where their sources lay.
pub(super) fn maps_differ_in_paths(staged: &str, rebuilt: &str) -> bool {
    let without = |text: &str| {
        let mut map: Value = serde_json::from_str(text).ok()?;
        let keys = map.as_object_mut()?;
        keys.remove("sources")?;
        keys.remove("sourceRoot");
        Some(map)
    };
    without(staged).is_some_and(|map| Some(map) == without(rebuilt))
}

/// The lines that differ, where both texts have as many lines.
pub(super) fn changed_lines<'a>(staged: &'a str, rebuilt: &'a str) -> Option<Vec<Pair<'a>>> {
    if staged.len().max(rebuilt.len()) > TEXT_BYTES_MAX {
        return None;
    }
    let mut pairs = Vec::new();
    let (mut ours, mut theirs) = (staged.lines(), rebuilt.lines());
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Some(pairs).filter(|pairs| !pairs.is_empty()),
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => pairs.push((one, other)),
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Where every differing line differs in a time.
pub(super) fn times(pairs: &[Pair<'_>]) -> Option<String> {
    let is_time = |(one, other): &Pair<'_>| {
        let (ours, theirs) = differing(one, other);
        without_time(one) == without_time(other) && looks_like_time(ours) && looks_like_time(theirs)
    };
    let (ours, _) = pairs.first().map(|(one, other)| differing(one, other))?;
    pairs
        .iter()
        .all(is_time)
        .then(|| format!("It says `{}` where the rebuild says another time.", shown(ours)))
}

/// Every run of digits, and every name of a month or day, as one sign.
fn without_time(line: &str) -> String {
    const NAMES: [&str; 19] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon",
        "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
    ];
    let mut named = line.to_owned();
    for name in NAMES {
        named = named.replace(name, "#");
    }
    let mut plain = String::with_capacity(named.len());
    for c in named.chars() {
        let sign = if c.is_ascii_digit() { '#' } else { c };
        if sign != '#' || !plain.ends_with('#') {
            plain.push(sign);
        }
    }
    plain
}

/// Whether a piece of text holds a year of this century, a clock, or milliseconds since 1970.
fn looks_like_time(piece: &str) -> bool {
    let runs: Vec<&str> = piece.split(|c: char| !c.is_ascii_digit()).collect();
    let is_year = |run: &&str| run.len() == 4 && run.starts_with("20");
    let is_epoch = |run: &&str| matches!(run.len(), 10 | 13) && run.starts_with('1');
    let is_clock = piece.as_bytes().windows(5).any(|five| {
        five[2] == b':' && [0, 1, 3, 4].into_iter().all(|at: usize| five[at].is_ascii_digit())
    });
    runs.iter().any(|run| is_year(run) || is_epoch(run)) || is_clock
}

/// Where every differing line differs in an absolute path.
pub(super) fn paths(pairs: &[Pair<'_>]) -> Option<String> {
    let absolute = |piece: &str| ABSOLUTE.iter().any(|start| piece.contains(start));
    let is_path = |(one, other): &Pair<'_>| {
        let (ours, theirs) = differing(one, other);
        absolute(ours) || absolute(theirs)
    };
    let (ours, _) = pairs.first().map(|(one, other)| differing(one, other))?;
    pairs.iter().all(is_path).then(|| format!("It says `{}`.", shown(ours)))
}

/// Where the staged text names another version in the place of this one.
pub(super) fn older_version(pairs: &[Pair<'_>], version: &str) -> Option<String> {
    if version.is_empty() {
        return None;
    }
    let (ours, _) =
        pairs.iter().map(|(one, other)| differing(one, other)).find(|(ours, theirs)| {
            let bare =
                theirs.trim_matches(|c: char| !c.is_ascii_alphanumeric()).trim_start_matches('v');
            let other =
                ours.trim_matches(|c: char| !c.is_ascii_alphanumeric()).trim_start_matches('v');
            bare == version && other.parse::<crate::Version>().is_ok()
        })?;
    Some(format!("It says `{}` where the rebuild says `{version}`.", shown(ours)))
}

/// Where lines that only one of the texts has are what a compiler writes of itself; or where both have the same lines in
/// another order.
pub(super) fn compilers(staged: &str, rebuilt: &str) -> Option<String> {
    if staged.len().max(rebuilt.len()) > TEXT_BYTES_MAX {
        return None;
    }
    let (ours, theirs): (HashSet<&str>, HashSet<&str>) =
        (staged.lines().collect(), rebuilt.lines().collect());
    let mut alone: Vec<&str> = ours.symmetric_difference(&theirs).copied().collect();
    if alone.is_empty() {
        return Some("It has the same lines in another order.".to_owned());
    }
    alone.sort_unstable();
    let helper = alone
        .iter()
        .find_map(|line| Some((COMPILERS.iter().find(|helper| line.contains(**helper))?, *line)));
    let (helper, line) = helper?;
    let at = line.find(helper).unwrap_or(0);
    Some(format!("Only one of the two has `{}`.", shown(line.get(at..).unwrap_or(line))))
}

/// Whether the staged text is the rebuilt one cut short: shorter, and at least half of its lines are lines of it.
pub(super) fn is_cut(staged: &str, rebuilt: &str) -> bool {
    let whole: HashSet<&str> = rebuilt.lines().collect();
    let filled = staged.lines().filter(|line| !line.trim().is_empty());
    let (known, all) = filled.fold((0_usize, 0_usize), |(known, all), line| {
        (known + usize::from(whole.contains(line)), all + 1)
    });
    staged.len() < rebuilt.len() && known > 0 && 2 * known >= all
}

/// The pieces in which two lines differ, up to the white space, quotes or brackets around them.
fn differing<'a>(one: &'a str, other: &'a str) -> Pair<'a> {
    let is_edge = |c: char| c.is_whitespace() || "\"'`()[]{}<>,;*".contains(c);
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let before = same.map(|(c, _)| c.len_utf8()).sum::<usize>();
    let start = one[..before]
        .rfind(is_edge)
        .map_or(0, |at| at + one[at..].chars().next().map_or(1, char::len_utf8));
    let rest = (&one[start..], &other[start..]);
    let most = rest.0.len().min(rest.1.len()) - (before - start);
    let same = rest.0.chars().rev().zip(rest.1.chars().rev()).take_while(|(a, b)| a == b);
    let mut after = 0;
    for (c, _) in same {
        if after + c.len_utf8() > most {
            break;
        }
        after += c.len_utf8();
    }
    let tail = &rest.0[rest.0.len() - after..];
    let kept = tail.find(is_edge).unwrap_or(tail.len());
    let cut = after - kept;
    (&rest.0[..rest.0.len() - cut], &rest.1[..rest.1.len() - cut])
}

fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
