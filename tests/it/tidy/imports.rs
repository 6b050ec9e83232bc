//! Who may name whom. In the core a module imports only from modules above it, in the order in which `lib.rs` lists
//! them; in the service each layer has its list of what it never names. The tables stand here as data.

use std::collections::BTreeMap;

use super::{
    rust_text::Code,
    tree::{File, expect_none, rust_files},
};

/// A part of the service or the worker, and what it never names, with the reason.
struct Wall {
    /// The files it holds for: a folder with its slash, or one file.
    within: &'static [&'static str],
    /// Crates (`sqlx`) and modules of the own crate (`crate::ui`).
    never: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        within: &["src/api/", "src/ui/", "src/npm/"],
        never: &["sqlx", "object_store"],
        instead: "A page or a route parses, calls, answers: queries stand in store/, one function each.",
    },
    Wall {
        within: &["src/api/"],
        never: &["crate::ui", "crate::npm", "askama"],
        instead: "What two fronts need belongs to the flow (intake, queue, approval, events).",
    },
    Wall {
        within: &["src/ui/"],
        never: &["crate::api", "crate::npm"],
        instead: "What two fronts need belongs to the flow (intake, queue, approval, events).",
    },
    Wall {
        within: &["src/store/", "src/store.rs"],
        never: &["axum", "reqwest", "crate::api", "crate::ui", "crate::npm"],
        instead: "The store keeps and finds; HTTP and decisions stand above it.",
    },
    Wall {
        within: &["src/intake", "src/queue", "src/approval", "src/events"],
        never: &["axum", "crate::api", "crate::ui", "crate::npm", "crate::cli"],
        instead: "The flow knows no HTTP: say it in an error of its own, and let the front translate it.",
    },
    Wall {
        within: &["src/signer", "src/second_factor"],
        never: &["axum", "reqwest", "crate::api", "crate::ui", "crate::npm", "crate::upstream"],
        instead: "What touches a secret knows as little else as can be.",
    },
    Wall {
        within: &["workers/src/sandbox/"],
        never: &["reqwest", "git2", "crate::service", "crate::fetch", "crate::checkout"],
        instead: "The sandbox runs steps between walls; what is run and why is decided in rebuild.",
    },
];

/// Every path that begins with `root::` in this code, as its second part with the offset: `use root::{a, b::c}` gives
/// `a` and `b`.
fn second_parts(code: &Code, root: &str) -> Vec<(usize, String)> {
    let text = code.text();
    let words = code.words();
    let mut parts = Vec::new();
    for (at, _) in words.iter().filter(|(_, word)| *word == root) {
        let after = at + root.len();
        let Some(rest) = text[after..].trim_start().strip_prefix("::") else { continue };
        let rest = rest.trim_start();
        match rest.strip_prefix('{') {
            Some(group) => parts.extend(first_words(group).map(|word| (*at, word))),
            None => parts.push((*at, word_at(rest))),
        }
    }
    parts
}

/// The word that begins here.
fn word_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each member of a `use` group, up to the group's closing brace.
fn first_words(group: &str) -> impl Iterator<Item = String> {
    let mut depth = 1_i32;
    let mut members = vec![String::new()];
    for c in group.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            _ if depth == 0 => break,
            ',' if depth == 1 => members.push(String::new()),
            _ => members.last_mut().expect("begun with one").push(c),
        }
    }
    members.into_iter().map(|member| word_at(member.trim_start())).filter(|word| !word.is_empty())
}

/// The core's modules in the order of its `lib.rs`, and the module of each name that `lib.rs` hands on.
fn core_order(files: &[File]) -> (Vec<String>, BTreeMap<String, String>) {
    let lib = files.iter().find(|file| file.path == "src/core/lib.rs").expect("the core has a lib");
    let code = Code::of(&lib.text).text();
    let mut order = Vec::new();
    let mut handed_on = BTreeMap::new();
    for statement in code.split(';').map(str::trim) {
        if let Some((_, module)) = statement.rsplit_once("mod ") {
            order.push(module.trim().to_owned());
        }
        if let Some((_, path)) = statement.split_once("pub use ") {
            let (module, names) = path.split_once("::").expect("a name of a module");
            let names = names.trim_start_matches('{');
            let names: Vec<String> = first_words(names).collect();
            handed_on.extend(names.into_iter().map(|name| (name, module.trim().to_owned())));
        }
    }
    assert!(order.len() > 10, "the core's modules were not found: {order:?}");
    (order, handed_on)
}

/// The module of the core that a file belongs to: `plan` for `src/core/plan.rs` and all of `src/core/plan/`.
fn core_module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/core/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    // A module's tests stand beside it under its name.
    Some(module.strip_suffix("_tests").unwrap_or(module)).filter(|module| *module != "lib")
}

#[test]
fn a_module_of_the_core_imports_only_from_above() {
    let files = rust_files();
    let (order, handed_on) = core_order(&files);
    let rank = |module: &str| order.iter().position(|known| known == module);
    let mut wrong = Vec::new();
    for file in &files {
        let Some(own) = core_module(&file.path) else { continue };
        let Some(own_rank) = rank(own) else {
            wrong.push(format!("{} belongs to no module that src/core/lib.rs names", file.path));
            continue;
        };
        let code = Code::of(&file.text);
        for (at, named) in second_parts(&code, "crate") {
            let module = handed_on.get(&named).unwrap_or(&named);
            let line = code.line_at(at);
            match rank(module) {
                Some(other) if other <= own_rank => {}
                Some(_) => wrong.push(format!("{}:{line} `{own}` imports `{module}`", file.path)),
                None => wrong.push(format!("{}:{line} `crate::{named}` is no module", file.path)),
            }
        }
    }
    expect_none(
        &wrong,
        "Data flows down the list in src/core/lib.rs: move the item up to where both can see it.",
    );
}

/// The parts of the standard library that lead outside.
const OUTSIDE: &[&str] = &["env", "fs", "net", "process", "thread"];

/// Its tests may: fixtures are files.
#[test]
fn the_core_names_nothing_that_leads_outside() {
    let mut wrong = Vec::new();
    let files = rust_files();
    for file in files.iter().filter(|file| file.is_under(&["src/core/"]) && !file.is_test()) {
        let code = Code::of(&file.text);
        let tests = code.test_parts();
        for root in ["countersign", "countersign_worker", "tokio", "std"] {
            let named = second_parts(&code, root).into_iter();
            let named = named
                .filter(|(at, _)| !tests.iter().any(|part| part.contains(at)))
                .filter(|(_, part)| root != "std" || OUTSIDE.contains(&part.as_str()));
            wrong.extend(named.map(|(at, part)| {
                format!("{}:{} names `{root}::{part}`", file.path, code.line_at(at))
            }));
        }
    }
    expect_none(
        &wrong,
        "The core is values and functions of values: take what it needs as an argument.",
    );
}

/// Where foreign bytes meet libgit2: in a cell, and nowhere else.
const READS_OBJECTS: &str = "workers/src/checkout/serve.rs";

#[test]
fn what_git_brought_is_parsed_in_a_cell_alone() {
    let files = rust_files();
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.is_under(&["workers/src/checkout/tests/"])) {
        let code = Code::of(&file.text);
        let named = second_parts(&code, "git2").into_iter().filter(|_| file.path != READS_OBJECTS);
        wrong.extend(named.map(|(at, _)| format!("{}:{}", file.path, code.line_at(at))));
    }
    expect_none(&wrong, "Ask the reader for the object: it is held against its name there.");
}

#[test]
fn each_layer_keeps_to_its_side_of_the_wall() {
    let files = rust_files();
    let mut wrong = Vec::new();
    for wall in WALLS {
        for file in files.iter().filter(|file| file.is_under(wall.within)) {
            let code = Code::of(&file.text);
            for never in wall.never {
                let (root, part) = never.split_once("::").unwrap_or((never, ""));
                let named = second_parts(&code, root);
                let named =
                    named.into_iter().filter(|(_, second)| part.is_empty() || second == part);
                wrong.extend(named.map(|(at, _)| {
                    let line = code.line_at(at);
                    format!("{}:{line} names `{never}`. {}", file.path, wall.instead)
                }));
            }
        }
    }
    expect_none(&wrong, "The table of walls stands in tests/it/tidy/imports.rs.");
}

#[test]
fn imports_are_found_in_every_form() {
    let code =
        Code::of("use crate::a::B;\nuse crate::{c::{D, E}, f, g::*};\nfn h() { crate::i::j() }");
    let found: Vec<String> =
        second_parts(&code, "crate").into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["a", "c", "f", "g", "i"]);
    assert!(second_parts(&Code::of("// crate::a\nlet x = \"crate::b\";"), "crate").is_empty());
}
