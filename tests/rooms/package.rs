//! What an install puts where.

use std::path::Path;

#[test]
fn an_install_puts_exactly_one_program_on_the_path() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let none = toml::Value::Array(Vec::new());
    let is_installed = |program: &&toml::Value| program.get("required-features").is_none();
    let programs = manifest.get("bin").unwrap_or(&none).as_array().unwrap().iter().filter(is_installed);
    let named: Vec<_> = programs.map(|program| program["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["atm-agent-mcp"]);
    let needed = manifest["features"].get("default").and_then(toml::Value::as_array).map_or(0, Vec::len);
    assert_eq!(needed, 0, "nothing of the tests is built for everybody");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    assert!(!beside.exists(), "cargo would find more programs in {}", beside.display());
}
