//! Whatever the path: what is reached lies in an allowed place and in no denied one.

use proptest::prelude::*;

use super::*;

const WORDS: &[&str] = &[
    "..", ".", "in", "sub", "out", "in-evil", ".ssh", "id", "x", "a.txt", "b.txt", "new", "no", "rel-out", "abs-out", "abs-in", "up", "loop", "keys",
    "nowhere", "deny", "to-deny", "",
];

fn world() -> World {
    let world = World::with(|config, home| config.transfer.denied_paths = vec![home.join("in/deny")]);
    let inside = world.home.join("in");
    for at in [&inside, &inside.join("sub")] {
        symlink(if at == &inside { "../out" } else { "../../out" }, at.join("rel-out")).expect("link");
        symlink(world.home.join("out"), at.join("abs-out")).expect("link");
        symlink(world.home.join("in/sub"), at.join("abs-in")).expect("link");
        symlink("..", at.join("up")).expect("link");
        symlink("loop", at.join("loop")).expect("link");
        symlink(world.home.join(".ssh"), at.join("keys")).expect("link");
        symlink(world.home.join("out/none"), at.join("nowhere")).expect("link");
        symlink(world.home.join("in/deny"), at.join("to-deny")).expect("link");
    }
    fs::create_dir(inside.join("deny")).expect("made");
    fs::write(inside.join("deny/x"), "denied").expect("written");
    symlink(&inside, world.home.join("out/abs-in")).expect("link");
    world
}

/// All that must never change, and all that must never be told.
fn forbidden(world: &World) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for dir in ["", "out", "in-evil", ".ssh", "in/deny"] {
        let mut entries: Vec<PathBuf> = fs::read_dir(world.home.join(dir)).expect("listed").map(|entry| entry.expect("entry").path()).collect();
        entries.sort();
        all.extend(entries.into_iter().map(|path| (fs::read_to_string(&path).unwrap_or_default(), path)).map(|(text, path)| (path, text)));
    }
    all
}

fn is_allowed(world: &World, path: &Path) -> bool {
    let real = path.canonicalize().expect("there");
    real.starts_with(world.home.join("in")) && !real.starts_with(world.home.join("in/deny"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_outside_is_reached(paths in proptest::collection::vec((0..4usize, proptest::collection::vec(0..WORDS.len(), 0..7)), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = world();
        let before = forbidden(&world);
        runtime.block_on(async {
            for (start, words) in paths {
                let words: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
                let path = match start {
                    0 => words.join("/"),
                    1 => format!("in/{}", words.join("/")),
                    2 => world.path("in") + "/" + &words.join("/"),
                    _ => world.path("") + &words.join("/"),
                };
                if let Ok(content) = world.pull(&path).await {
                    assert_eq!(content, b"inside", "{path}");
                }
                if let Ok(listing) = world.files.list(&path).await {
                    let lexical = super::super::confine::normal(&world.home.join(&path));
                    for real in listing.files.iter().filter(|file| file.kind != FileKind::Symlink).map(|file| lexical.join(&file.name)) {
                        assert!(is_allowed(&world, &real), "{path} {real:?}");
                    }
                }
                if let Ok(tree) = world.tree(&path, &[], true).await {
                    for file in &tree.files {
                        let real = super::super::confine::normal(&world.home.join(&path)).join(&file.path);
                        assert!(is_allowed(&world, &real), "{path} {real:?}");
                    }
                }
                let _may_fail = world.push(Push { dest_path: path.clone(), ..Push::default() }, b"inside").await;
                let _may_fail = world.files.make_directory(&path).await;
            }
        });
        prop_assert_eq!(before, forbidden(&world));
    }
}
