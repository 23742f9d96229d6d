//! What may be touched.

use super::*;

async fn denied_everywhere(world: &World, path: &str) {
    refused!(world.files.open_pull(path, 0).await, PathDenied);
    refused!(world.files.stat(&StatPath { path: path.to_owned(), hash_bytes: None }).await, PathDenied);
    refused!(world.files.list(path).await, PathDenied);
    refused!(world.tree(path, &[], false).await, PathDenied);
    refused!(world.files.make_directory(path).await, PathDenied);
    refused!(world.files.begin_push(Push { dest_path: path.to_owned(), ..Push::default() }).await, PathDenied);
    refused!(world.files.push_offset(&PushOffset { dest_path: path.to_owned(), upload_id: "12345678".to_owned() }).await, PathDenied);
}

#[tokio::test]
async fn what_is_outside_is_denied_however_it_is_spelled() {
    let world = World::new();
    for path in ["out/x", "in/../out/x", "in/sub/../../out/x", "in-evil/x", "in-evil/new", "out/no/such", "../../../../etc/passwd"] {
        denied_everywhere(&world, path).await;
        denied_everywhere(&world, &world.path(path)).await;
    }
    denied_everywhere(&world, "/etc/passwd").await;
    denied_everywhere(&world, "/etc/passwd/x").await;
    denied_everywhere(&world, "/").await;
    assert_eq!(world.pull("in/sub/../a.txt").await.expect("inside"), b"inside");
    assert_eq!(world.pull(&world.path("in/a.txt")).await.expect("inside"), b"inside");
}

#[tokio::test]
async fn links_count_by_where_they_lead() {
    let world = World::new();
    let inside = world.home.join("in");
    symlink("../out", inside.join("relative")).expect("link");
    symlink(world.home.join("out"), inside.join("absolute")).expect("link");
    symlink("../out/x", inside.join("file")).expect("link");
    symlink("/no/such/thing", inside.join("nowhere")).expect("link");
    for path in ["in/relative/x", "in/absolute/x", "in/absolute/new", "in/absolute/new/deeper"] {
        denied_everywhere(&world, path).await;
    }
    for path in ["in/file", "in/nowhere", "in/nowhere/x", "in/relative", "in/absolute"] {
        refused!(world.files.open_pull(path, 0).await, PathDenied);
        refused!(world.files.begin_push(Push { dest_path: path.to_owned(), ..Push::default() }).await, PathDenied);
        refused!(world.files.list(path).await, PathDenied);
    }
    symlink("a.txt", inside.join("near")).expect("link");
    symlink(world.home.join("in/sub"), inside.join("dir")).expect("link");
    assert_eq!(world.pull("in/near").await.expect("inside"), b"inside");
    assert_eq!(world.pull("in/dir/b.txt").await.expect("inside"), b"inside");
    refused!(world.put("in/near", b"new").await, PathDenied);
    assert_eq!(world.read("in/a.txt"), "inside");
    world.put("in/dir/new.txt", b"new").await.expect("through a directory link that stays inside");
    assert_eq!(world.read("in/sub/new.txt"), "new");
}

#[tokio::test]
async fn an_allowed_directory_has_more_than_one_name() {
    let world = World::with(|config, home| {
        symlink(home.join("in"), home.join("alias")).expect("link");
        config.transfer.allowed_paths = vec![home.join("alias")];
    });
    for path in ["alias/a.txt", "in/a.txt"] {
        assert_eq!(world.pull(path).await.expect("the same place"), b"inside");
    }
    for path in ["alias", "in"] {
        assert_eq!(world.files.list(path).await.expect("listed").files.len(), 2);
        let stat = world.files.stat(&StatPath { path: path.to_owned(), hash_bytes: None }).await.expect("seen");
        assert_eq!(stat.file.expect("there").kind, FileKind::Directory);
        refused!(world.put(path, b"x").await, Invalid);
    }
    refused!(world.pull("out/x").await, PathDenied);
}

#[tokio::test]
async fn credentials_and_the_nodes_data_are_never_touched() {
    let world = World::open();
    fs::write(world.home.join(".bashrc"), "old").expect("written");
    fs::create_dir_all(world.home.join(".config/autostart")).expect("made");
    symlink(world.home.join(".ssh"), world.home.join("in/keys")).expect("link");
    symlink("../.ssh/id", world.home.join("in/key")).expect("link");
    for path in [
        ".ssh/id",
        ".ssh/authorized_keys",
        "in/keys/id",
        "in/../.ssh/id",
        ".loopsy/loopsy.db",
        ".loopsy/new",
        ".config/autostart/x.desktop",
        ".aws/credentials",
        ".bashrc",
        ".netrc",
        ".claude/settings.json",
    ] {
        denied_everywhere(&world, path).await;
    }
    for path in ["in/key", "in/keys"] {
        refused!(world.files.open_pull(path, 0).await, PathDenied);
        refused!(world.files.list(path).await, PathDenied);
    }
    fs::hard_link(world.home.join(".bashrc"), world.home.join("in/rc")).expect("hard link");
    refused!(world.pull("in/rc").await, PathDenied);
    let names: Vec<String> = world.files.list("").await.err().map_or_else(Vec::new, |_| Vec::new());
    assert!(names.is_empty());
    let listing = world.files.list(&world.path("")).await.expect("listed");
    assert!(!listing.files.iter().any(|file| [".ssh", ".loopsy", ".bashrc"].contains(&file.name.as_str())), "{listing:?}");
}

#[tokio::test]
async fn a_new_config_counts_at_once() {
    let world = World::new();
    assert!(world.pull("in/a.txt").await.is_ok());
    let mut config = Config::clone(&world.config.borrow());
    config.transfer.denied_paths = vec![world.home.join("in/sub")];
    config.transfer.allowed_paths = vec![world.home.clone()];
    world.config.send_replace(Arc::new(config));
    assert!(world.pull("out/x").await.is_ok());
    refused!(world.pull("in/sub/b.txt").await, PathDenied);
}

#[tokio::test]
async fn paths_that_are_no_paths_are_refused() {
    let world = World::new();
    for path in ["in/a\0.txt", "in/\u{1b}[31m", "in/a\nb"] {
        let text = refused!(world.files.open_pull(path, 0).await, NameRefused);
        assert!(text.contains("\\u{"), "{text}");
        refused!(world.put(path, b"").await, NameRefused);
    }
    let text = refused!(world.files.open_pull("~/in/a.txt", 0).await, Invalid);
    assert!(text.contains("not expanded"), "{text}");
    refused!(world.files.open_pull("", 0).await, Invalid);
    refused!(world.files.open_pull(&"x/".repeat(4096), 0).await, Invalid);
    for name in ["con.txt", "a:b", "a\\b", "dot.", "space ", "bi\u{202e}di", "COM¹", "sub/../new", "new/aux/x"] {
        refused!(world.put(&format!("in/{name}"), b"x").await, NameRefused);
    }
    assert_eq!(fs::read_dir(world.home.join("in")).expect("listed").count(), 2, "nothing was made");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_regular_files_are_opened_and_nothing_hangs() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let world = World::with(|config, _| config.transfer.allowed_paths = Vec::new());
    mknodat(CWD, world.home.join("in/pipe"), FileType::Fifo, Mode::from_bits_truncate(0o600), 0).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(world.home.join("in/socket")).expect("bound");
    for path in ["in/pipe", "in/socket", "/dev/zero", "/dev/null", "in", "in/missing", "in/a.txt/x"] {
        tokio::time::timeout(Duration::from_secs(10), async { refused!(world.files.open_pull(path, 0).await, NotFound) }).await.expect("no hang");
    }
    refused!(world.put("in/pipe", b"x").await, Invalid);
    refused!(world.pull("/proc/self/environ").await, PathDenied);
}

#[tokio::test]
async fn a_listing_is_sorted_and_shows_links_as_links() {
    let world = World::new();
    symlink("a.txt", world.home.join("in/b-link")).expect("link");
    symlink("../out/x", world.home.join("in/c-out")).expect("link");
    symlink("nowhere", world.home.join("in/d-dangling")).expect("link");
    let files = world.files.list("in").await.expect("listed").files;
    let seen: Vec<(&str, FileKind, bool)> = files.iter().map(|file| (file.name.as_str(), file.kind, file.size == 6)).collect();
    assert_eq!(
        seen,
        [
            ("a.txt", FileKind::File, true),
            ("b-link", FileKind::Symlink, true),
            ("c-out", FileKind::Symlink, true),
            ("d-dangling", FileKind::Symlink, false),
            ("sub", FileKind::Directory, false)
        ]
        .map(|(name, kind, size)| (name, kind, if name == "c-out" { "../out/x".len() == 6 } else { size }))
    );
    assert_eq!(files[0].path, world.path("in/a.txt"));
    assert!(files[0].modified > 0 && files[0].mode & 0o400 != 0);
    refused!(world.files.list("in/a.txt").await, NotFound);
    refused!(world.files.list("in/missing").await, NotFound);
}

#[tokio::test]
async fn stat_tells_and_hashes() {
    let world = World::new();
    let ask = |path: &str, hash_bytes| {
        let (files, request) = (world.files.clone(), StatPath { path: path.to_owned(), hash_bytes });
        async move { files.stat(&request).await }
    };
    let stat = ask("in/a.txt", Some(3)).await.expect("seen");
    assert_eq!((stat.sha256, stat.file.expect("there").size), (Some(sha256(b"ins")), 6));
    assert_eq!(ask("in/a.txt", Some(u64::MAX)).await.expect("seen").sha256, Some(sha256(b"inside")));
    assert!(ask("in/missing/deeper", None).await.expect("seen").file.is_none());
    assert_eq!(ask("in", None).await.expect("seen").file.expect("there").kind, FileKind::Directory);
    refused!(ask("in", Some(1)).await, NotFound);
}

#[tokio::test]
async fn directories_are_made_once_and_again() {
    let world = World::new();
    for _ in 0..2 {
        world.files.make_directory("in/x/y/Ünïcødé").await.expect("made");
    }
    assert!(world.home.join("in/x/y/Ünïcødé").is_dir());
    world.files.make_directory("in").await.expect("there");
    refused!(world.files.make_directory("in/a.txt").await, NotFound);
    refused!(world.files.make_directory("in/bad:name/x").await, NameRefused);
}
