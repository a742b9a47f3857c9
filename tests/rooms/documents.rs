//! What the documents say of the sources is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use atm_agent_mcp::config::{self, ServeFlags, Sources};
use atm_agent_mcp::home::Home;
use atm_agent_mcp::mcp::{catalog, codes};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all functions in the sources that are marked as tests, or made to such by a macro.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut places: Vec<PathBuf> = ["src", "tests"].map(|place| root().join(place)).into();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            found.extend(tests_in(&std::fs::read_to_string(place).unwrap()));
        }
    }
    found
}

fn tests_in(source: &str) -> Vec<String> {
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let promised = source.split("on_each_codex! {").skip(1).flat_map(|rest| {
        rest.split('}').next().unwrap().split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    });
    let marked = lines.iter().enumerate().filter_map(|(at, line)| {
        let name = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        above.any(is_test).then(|| word(name))
    });
    marked.chain(promised).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (_, after) = text.split_once("| promise | shown by |\n|---|---|\n").expect("the table of what is defended");
    let rows: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 20, "{rows:?}");
    let tests = tests();
    for row in rows {
        let shown_by = row.trim_matches(['|', ' ']).rsplit(" | ").next().unwrap();
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "shown by no test: {row}");
        for name in named {
            assert!(tests.contains(name), "there is no test {name}: {row}");
        }
    }
}

/// The pages of the book.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places = vec![root().join("docs")];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                places.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "md") {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}

/// Where the links of a page lead to, but for those to other places.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
}

#[test]
fn every_link_of_the_documents_leads_somewhere_and_every_page_is_in_the_book() {
    let summary = root().join("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> =
        links(&std::fs::read_to_string(&summary).unwrap()).map(|target| root().join("docs").join(target)).collect();
    let readmes = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    for page in pages().into_iter().chain(readmes) {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let target = page.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(target.exists(), "{}: {} is not there", page.display(), target.display());
        }
        let is_in_it = page == summary || !page.starts_with(root().join("docs")) || listed.contains(&page);
        assert!(is_in_it, "{} is not in docs/SUMMARY.md", page.display());
    }
}

#[test]
fn the_reference_of_settings_has_every_key() {
    let text = std::fs::read_to_string(root().join("docs/reference/settings.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let loaded = config::load(&Sources {
        flags: &ServeFlags::default(),
        env: &|_| None,
        cwd: dir.path(),
        home: &Home::at(dir.path()),
    });
    let loaded = loaded.unwrap();
    for listed in loaded.listing {
        assert!(text.contains(&format!("`{}`", listed.key)), "{} is not in it", listed.key);
    }
}

/// The page of tools, from what the client's model is told.
fn tools_page() -> String {
    let mut page = String::from(
        "# Tools\n\nWhat the client's model is told of each tool; this page is written by a test \
         (`ATM_WRITE_DOCS=1 cargo nextest run the_reference_of_tools`). What results carry, and what errors mean: [What a client can rely on](../protocol.md).\n",
    );
    for tool in catalog::tools() {
        page.push_str(&format!("\n## `{}`\n\n{}\n", tool.name, tool.description.as_deref().unwrap_or_default()));
        let schema = serde_json::Value::Object((*tool.input_schema).clone());
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) else { continue };
        page.push_str("\n| argument | type | what |\n|---|---|---|\n");
        for (name, property) in properties {
            let of = property["type"].as_str().unwrap_or("any");
            let what = property["description"].as_str().unwrap_or_default().replace('|', "\\|");
            let needed = if required.contains(&name.as_str()) { ", required" } else { "" };
            page.push_str(&format!("| `{name}` | {of}{needed} | {what} |\n"));
        }
    }
    page
}

#[test]
fn the_reference_of_tools_is_what_the_client_is_told() {
    let path = root().join("docs/reference/tools.md");
    let page = tools_page();
    if std::env::var_os("ATM_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/tools.md is not what the tools say: write it anew with ATM_WRITE_DOCS=1");
}

#[test]
fn every_error_is_in_the_protocol_as_the_program_has_it() {
    let text = std::fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let (_, after) =
        text.split_once("| error | code | source | what to do |\n|---|---|---|---|\n").expect("the table of errors");
    let rows: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    let expected = codes::ALL
        .map(|code| format!("| `{}` | {} | {} | {} |", code.word, code.number, code.side.word(), code.meaning));
    assert_eq!(rows, expected);
}

/// The words in capitals that the production code of these rooms writes, but for names of variables.
fn words_in(rooms: [&str; 2]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut places: Vec<PathBuf> = rooms.map(|room| root().join("src").join(room)).into();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let is_table = place.ends_with("mcp/codes.rs") || place.ends_with("tests.rs");
        let source = if is_table { String::new() } else { std::fs::read_to_string(&place).unwrap() };
        let production = source.split("#[cfg(test)]").next().unwrap();
        let is_word = |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let is_variable = |text: &&str| ["ATM_", "CARGO_"].iter().any(|prefix| text.starts_with(prefix));
        found.extend(production.split('"').filter(is_word).filter(|text| !is_variable(text)).map(str::to_owned));
    }
    found
}

#[test]
fn every_error_that_the_program_names_is_in_the_table_and_every_one_of_the_table_is_named() {
    let named = words_in(["mcp", "tools"]);
    let known: BTreeSet<String> = codes::ALL
        .iter()
        .map(|code| code.word)
        .chain(codes::ALIASES.map(|(alias, _)| alias))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, known);
    let text = std::fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    for (alias, same) in codes::ALIASES {
        let is_said = |line: &str| line.contains(&format!("`{alias}`")) && line.contains(&format!("`{same}`"));
        assert!(text.lines().any(is_said), "{alias} is not in the protocol");
    }
}
