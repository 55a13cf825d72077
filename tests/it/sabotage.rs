//! The patches of `tests/sabotage/run` still fit: each applies, and its test is there.

use std::path::Path;
use std::process::Command;

#[test]
fn every_sabotage_applies_and_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches = 0;
    for entry in std::fs::read_dir(root.join("tests/sabotage")).expect("the patches") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        patches += 1;
        let text = std::fs::read_to_string(&path).expect("a patch");
        let test = text.lines().find_map(|line| line.strip_prefix("turns red: "));
        let (module, name) = test.and_then(|test| test.split_once("::")).expect("module::test");
        let source = root.join("tests/it").join(module).with_extension("rs");
        let source = std::fs::read_to_string(&source).expect("the module of the test");
        assert!(source.contains(&format!("fn {name}()")), "{path:?}: there is no {test:?}");
        let git =
            Command::new("git").arg("apply").arg("--check").arg(&path).current_dir(root).output();
        let output = git.expect("git starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path:?} no longer applies: {said}");
    }
    assert!(patches >= 6, "{patches}");
}
