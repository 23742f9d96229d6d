//! Walking a folder.

use super::*;

#[tokio::test]
async fn rules_leave_out_and_links_are_named() {
    let world = World::open();
    let root = world.home.join("in");
    for name in ["keep/x.log", "keep/.hidden", ".git/config", "target/out", "node_modules/a", "secret/k", "keep/important.tmp", "keep/other.tmp"] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        fs::write(path, name).expect("written");
    }
    fs::write(world.home.join(".gitignore"), "a.txt\n").expect("above the folder: does not count");
    fs::write(root.join(".gitignore"), "/target\n*.log\n").expect("written");
    fs::write(root.join("keep/.loopsyignore"), "*.tmp\n!important.tmp\n").expect("written");
    symlink("../.ssh", root.join("keys")).expect("link");
    symlink("a.txt", root.join("near")).expect("link");
    fs::write(root.join("keep/bad:name"), "x").expect("written");
    fs::create_dir(root.join("empty")).expect("made");
    let names = |tree: &Tree| tree.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();

    let patterns = ["node_modules".to_owned(), "/secret/".to_owned()];
    let tree = world.tree("in", &patterns, false).await.expect("walked");
    assert_eq!(names(&tree), [".git/config", ".gitignore", "a.txt", "keep/.hidden", "keep/.loopsyignore", "keep/important.tmp", "sub/b.txt"]);
    assert_eq!(tree.directories, [".git", "empty", "keep", "sub"]);
    let left: Vec<&str> = tree.left_out.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(left, ["keep/bad:name", "keys", "near"]);
    assert_eq!(tree.files[2].size, 6);
    assert!(tree.files[2].modified > 0 && tree.files[2].mode == tree.files[2].mode & 0o777);

    let all = names(&world.tree("in", &[], true).await.expect("walked"));
    assert!(all.contains(&"target/out".to_owned()) && all.contains(&"keep/x.log".to_owned()) && all.contains(&"keep/other.tmp".to_owned()), "{all:?}");
}

#[tokio::test]
async fn denied_places_are_not_walked_into() {
    let world = World::open();
    let tree = world.tree(&world.path(""), &[], false).await.expect("walked");
    assert!(tree.files.iter().all(|file| !file.path.starts_with('.')), "{tree:?}");
    assert_eq!(tree.left_out.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), [".loopsy", ".ssh"]);
    refused!(world.tree("in/a.txt", &[], false).await, NotFound);
    refused!(world.tree("in/none", &[], false).await, NotFound);
    refused!(world.tree("in", &["a{".to_owned(), "[z-a]".to_owned()], false).await, Invalid);
}
