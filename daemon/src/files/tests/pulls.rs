//! Sending: what was there, or an error.

use super::*;

#[tokio::test]
async fn a_file_is_read_whole_and_from_any_offset() {
    let world = World::new();
    for size in [0, 1, 65_536, 65_537, (3 << 20) + 17, (65 << 20) + 4097] {
        let content = noise(size);
        // by a push, so that a large one is not in memory
        world.put("in/f", &content).await.expect("pushed");
        for offset in [0, 12_345.min(size / 100), size / 3, size] {
            let pull = world.files.open_pull("in/f", offset as u64).await.expect("opened");
            assert_eq!((pull.size, pull.name.as_str(), pull.mode & 0o600), (size as u64, "f", 0o600));
            assert!(read_all(pull).await.expect("read") == content[offset..], "{size} {offset}");
        }
        refused!(world.files.open_pull("in/f", size as u64 + 1).await, Invalid);
    }
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_never_taken_for_whole() {
    use std::io::Write;
    let world = World::new();
    let path = world.home.join("in/f");
    for change in [
        |file: &mut fs::File| file.write_all(b"more").expect("grown"),
        |file: &mut fs::File| file.set_len(2 << 20).expect("shrunk"),
        |file: &mut fs::File| file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("touched"),
    ] {
        fs::write(&path, noise(5 << 20)).expect("written");
        let mut pull = world.files.open_pull("in/f", 0).await.expect("opened");
        pull.next().await.expect("a block").expect("readable");
        change(&mut fs::File::options().append(true).open(&path).expect("there"));
        refused!(read_all(pull).await, Changed);
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_meanwhile_is_sent_as_it_was() {
    let world = World::new();
    let content = noise(5 << 20);
    world.put("in/f", &content).await.expect("pushed");
    let pull = world.files.open_pull("in/f", 0).await.expect("opened");
    world.put("in/f", b"new").await.expect("replaced");
    assert!(read_all(pull).await.expect("read") == content);
}

#[tokio::test]
async fn names_of_any_script_can_be_pulled() {
    let world = World::new();
    for name in ["Ünïcødé ☃.txt", "quote\"s'.txt", "back\\slash", "CON", "a:b"] {
        fs::write(world.home.join("in").join(name), name).expect("written");
        assert_eq!(world.pull(&format!("in/{name}")).await.expect("pulled"), name.as_bytes());
    }
}
