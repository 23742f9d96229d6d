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

#[tokio::test]
async fn what_is_left_out_is_named_up_to_a_limit_and_counted() {
    let world = World::new();
    for number in 0..2005 {
        fs::write(world.home.join(format!("in/bad:{number:04}")), "").expect("written");
    }
    let left = world.tree("in", &[], false).await.expect("walked").left_out;
    assert_eq!((left.len(), left[1999].path.as_str()), (2001, "bad:1999"));
    assert_eq!(left[2000].reason, "5 more entries were left out");
    // with `a.txt`, `sub` and `sub/b.txt`
    let walked = |most| super::super::tree::walk_up_to(most, &world.files.0, "in", &[], false);
    assert!(walked(2008).is_ok());
    refused!(walked(2007), Invalid);
}
