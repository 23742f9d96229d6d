//! Receiving: whole or not at all.

use super::*;

fn resumable(world: &World, offset: u64) -> Push {
    Push { dest_path: world.path("in/big.bin"), upload_id: Some("upload-0001".to_owned()), offset: Some(offset), ..Push::default() }
}

async fn offset(world: &World) -> Result<(u64, String), FileError> {
    let request = PushOffset { dest_path: world.path("in/big.bin"), upload_id: "upload-0001".to_owned() };
    world.files.push_offset(&request).await.map(|reply| (reply.offset, reply.sha256))
}

#[tokio::test]
async fn files_of_any_size_arrive_whole() {
    let world = World::new();
    for size in [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, (7 << 20) + 12_345] {
        let content = noise(size);
        for announced in [None, Some(size as u64)] {
            let request =
                Push { dest_path: world.path("in/new/deep/機械.bin"), size: announced, sha256: Some(sha256(&content).to_uppercase()), ..Push::default() };
            let pushed = world.push(request.clone(), &content).await.expect("pushed");
            assert_eq!((pushed.size, pushed.checksum, pushed.path), (size as u64, sha256(&content), request.dest_path));
            assert!(fs::read(world.home.join("in/new/deep/機械.bin")).expect("there") == content, "{size}");
        }
    }
    assert!(world.parts("in/new/deep").is_empty());
}

#[tokio::test]
async fn mode_and_time_are_set_and_kept() {
    let world = World::new();
    let mode = |name: &str| fs::metadata(world.home.join(name)).expect("there").permissions().mode() & 0o7777;
    let request = Push { dest_path: "in/tool".to_owned(), mode: Some(0o104_755), modified: Some(1_000_000_000_123), ..Push::default() };
    world.push(request, b"x").await.expect("pushed");
    assert_eq!(mode("in/tool"), 0o755, "no setuid");
    let stat = world.files.stat(&StatPath { path: "in/tool".to_owned(), hash_bytes: None }).await.expect("seen");
    assert_eq!(stat.file.expect("there").modified, 1_000_000_000_123);
    fs::set_permissions(world.home.join("in/tool"), fs::Permissions::from_mode(0o700)).expect("set");
    world.put("in/tool", b"y").await.expect("replaced");
    assert_eq!((mode("in/tool"), world.read("in/tool").as_str()), (0o700, "y"));
    world.put("in/plain", b"y").await.expect("pushed");
    assert_eq!(mode("in/plain"), 0o644);
    let begun = world.files.begin_push(Push { dest_path: "in/private".to_owned(), ..Push::default() }).await.expect("begun");
    assert_eq!(mode(&format!("in/{}", world.parts("in")[0])), 0o600);
    drop(begun);
    refused!(world.push(Push { dest_path: "in/x".to_owned(), modified: Some(u64::MAX), ..Push::default() }, b"").await, Invalid);
}

#[tokio::test]
async fn a_wrong_hash_or_size_leaves_what_was_there() {
    let world = World::new();
    for size in [10, 3 << 20] {
        let wrong = Push { dest_path: "in/a.txt".to_owned(), sha256: Some(sha256(b"other")), ..Push::default() };
        refused!(world.push(wrong.clone(), &noise(size)).await, ChecksumMismatch);
        refused!(world.push(Push { upload_id: Some("upload-0002".to_owned()), ..wrong }, &noise(size)).await, ChecksumMismatch);
        for announced in [size as u64 - 1, size as u64 + 1] {
            refused!(world.push(Push { dest_path: "in/a.txt".to_owned(), size: Some(announced), ..Push::default() }, &noise(size)).await, Invalid);
        }
        world.until_no_part("in").await;
        assert_eq!(world.read("in/a.txt"), "inside");
    }
    for sha256 in ["", "12", &"g".repeat(64)] {
        refused!(world.push(Push { dest_path: "in/a.txt".to_owned(), sha256: Some(sha256.to_owned()), ..Push::default() }, b"").await, Invalid);
    }
}

#[tokio::test]
async fn a_push_that_breaks_leaves_nothing() {
    let world = World::new();
    for size in [0, 10, 5 << 20] {
        let mut push = world.files.begin_push(Push { dest_path: "in/a.txt".to_owned(), size: Some(8 << 20), ..Push::default() }).await.expect("begun");
        assert_eq!(world.parts("in").len(), 1);
        push.write(noise(size).into()).await.expect("written");
        drop(push);
        world.until_no_part("in").await;
        assert_eq!(world.read("in/a.txt"), "inside");
    }
}

#[tokio::test]
async fn directories_are_not_destinations() {
    let world = World::new();
    for path in ["in/sub", "in/sub/", "in/new/", "in", "in/."] {
        refused!(world.files.begin_push(Push { dest_path: path.to_owned(), ..Push::default() }).await, Invalid);
    }
    refused!(world.put("in/a.txt/x", b"x").await, NotFound);
}

#[tokio::test]
async fn nothing_is_replaced_when_that_is_not_wanted() {
    let world = World::new();
    let careful = |path: &str| Push { dest_path: path.to_owned(), overwrite: Some(false), ..Push::default() };
    refused!(world.push(careful("in/a.txt"), b"new").await, Exists);
    let first = world.files.begin_push(careful("in/new")).await.expect("begun");
    let second = world.files.begin_push(careful("in/new")).await.expect("begun");
    first.finish().await.expect("the first is put in place");
    refused!(second.finish().await, Exists);
    world.until_no_part("in").await;
    world.push(Push { overwrite: Some(true), ..careful("in/a.txt") }, b"new").await.expect("replaced");
    assert_eq!(world.read("in/a.txt"), "new");
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_never_cut() {
    let world = World::with(|config, _| config.transfer.max_file_size = 2 << 20);
    world.put("in/fits", &noise(2 << 20)).await.expect("just fits");
    refused!(world.files.begin_push(Push { dest_path: "in/a.txt".to_owned(), size: Some((2 << 20) + 1), ..Push::default() }).await, TooLarge);
    refused!(world.put("in/a.txt", &noise((2 << 20) + 1)).await, TooLarge);
    let resumable = Push { dest_path: "in/a.txt".to_owned(), upload_id: Some("upload-0003".to_owned()), ..Push::default() };
    refused!(world.push(resumable, &noise((2 << 20) + 1)).await, TooLarge);
    world.until_no_part("in").await;
    assert_eq!(world.read("in/a.txt"), "inside");
    fs::write(world.home.join("in/large"), noise((2 << 20) + 1)).expect("written");
    refused!(world.pull("in/large").await, TooLarge);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let world = World::new();
    let content = noise((6 << 20) + 777);
    assert_eq!(offset(&world).await.expect("nothing yet"), (0, sha256(b"")));
    let mut here = 0;
    for end in [100_001, 1 << 20, (3 << 20) + 5] {
        let mut push = world.files.begin_push(resumable(&world, here as u64)).await.expect("goes on");
        push.write(Bytes::copy_from_slice(&content[here..end])).await.expect("written");
        refused!(offset(&world).await, Busy);
        drop(push);
        here = end;
        assert_eq!(offset(&world).await.expect("told"), (here as u64, sha256(&content[..here])));
    }
    refused!(world.files.begin_push(resumable(&world, here as u64 + 1)).await, ResumeMismatch);
    // less than is here is fine too
    let again = here - 4000;
    let request = Push { size: Some(content.len() as u64), sha256: Some(sha256(&content)), ..resumable(&world, again as u64) };
    let pushed = world.push(request, &content[again..]).await.expect("whole");
    assert_eq!((pushed.size, pushed.checksum), (content.len() as u64, sha256(&content)));
    assert!(fs::read(world.home.join("in/big.bin")).expect("there") == content);
    assert!(world.parts("in").is_empty());
    assert_eq!(offset(&world).await.expect("nothing any more").0, 0);
}

#[tokio::test]
async fn one_upload_has_one_writer() {
    let world = World::new();
    let first = world.files.begin_push(resumable(&world, 0)).await.expect("begun");
    refused!(world.files.begin_push(resumable(&world, 0)).await, Busy);
    first.finish().await.expect("finished");
    for id in ["short", "with space", "../../../etc", &"x".repeat(65)] {
        refused!(world.files.begin_push(Push { upload_id: Some(id.to_owned()), ..resumable(&world, 0) }).await, Invalid);
    }
    refused!(world.files.begin_push(Push { upload_id: None, ..resumable(&world, 5) }).await, Invalid);
    refused!(world.files.begin_push(resumable(&world, 5)).await, ResumeMismatch);
    assert!(world.parts("in").is_empty(), "nothing is made for an offset that is not there");
}

#[tokio::test]
async fn old_parts_go_at_the_start_and_nothing_else() {
    let world = World::new();
    let mut push = world.files.begin_push(resumable(&world, 0)).await.expect("begun");
    push.write(Bytes::from_static(b"half")).await.expect("written");
    drop(push);
    for name in ["in/.loopsy.notours.txt", "in/.loopsy.aaaaaaaa.part", "in/sub/.loopsy.aaaaaaaa.part"] {
        fs::write(world.home.join(name), "x").expect("written");
    }
    let restarted = || Files::new(world.config.subscribe(), world.home.join(".loopsy"), world.home.clone());
    restarted().collect_garbage().await;
    assert_eq!(world.parts("in").len(), 2, "they may still be resumed");
    for name in ["in/.loopsy.notours.txt", "in/.loopsy.upload-0001.part", "in/.loopsy.aaaaaaaa.part", "in/sub/.loopsy.aaaaaaaa.part"] {
        let file = fs::File::options().write(true).open(world.home.join(name)).expect("there");
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(25 * 60 * 60)).expect("aged");
    }
    restarted().collect_garbage().await;
    assert!(world.parts("in").is_empty());
    assert_eq!(world.parts("in/sub").len(), 1, "nothing was begun in that directory");
    assert!(world.home.join("in/.loopsy.notours.txt").exists());
    assert_eq!(world.read(".loopsy/parts.json"), "[]");
}

#[tokio::test]
async fn a_broken_upload_gives_back_the_room_that_it_does_not_use() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let mut push = world.files.begin_push(Push { size: Some(8 << 20), ..resumable(&world, 0) }).await.expect("begun");
    push.write(noise(100_001).into()).await.expect("written");
    drop(push);
    assert_eq!(offset(&world).await.expect("told").0, 100_001);
    let used = fs::metadata(world.home.join("in/.loopsy.upload-0001.part")).expect("kept").blocks() * 512;
    assert!(used < 1 << 20, "{used}");
}

#[tokio::test]
async fn a_push_that_fails_takes_its_directories_with_it() {
    let world = World::new();
    let there = |name: &str| world.home.join(name).exists();
    let request = Push { dest_path: "in/x/y/z".to_owned(), ..Push::default() };
    let wrong = Push { sha256: Some(sha256(b"other")), ..request.clone() };
    refused!(world.push(wrong.clone(), b"x").await, ChecksumMismatch);
    assert!(!there("in/x") && there("in"));
    refused!(world.files.begin_push(Push { upload_id: Some("upload-0006".to_owned()), offset: Some(5), ..request.clone() }).await, ResumeMismatch);
    assert!(!there("in/x"));
    for size in [0, 10, 5 << 20] {
        let mut push = world.files.begin_push(request.clone()).await.expect("begun");
        push.write(noise(size).into()).await.expect("written");
        drop(push);
        until(|| !there("in/x")).await;
    }
    // what others put there stays, and so does what can be resumed
    let push = world.files.begin_push(request.clone()).await.expect("begun");
    fs::write(world.home.join("in/x/other"), "").expect("written");
    drop(push);
    until(|| !there("in/x/y")).await;
    assert!(there("in/x/other"));
    let mut push = world.files.begin_push(Push { upload_id: Some("upload-0006".to_owned()), ..request.clone() }).await.expect("begun");
    push.write(Bytes::from_static(b"half")).await.expect("written");
    drop(push);
    until(|| fs::read(world.home.join("in/x/y/.loopsy.upload-0006.part")).is_ok_and(|text| text == b"half")).await;
    world.push(request, b"x").await.expect("pushed");
    assert!(there("in/x/y/z"));
}

#[cfg(target_os = "linux")]
mod disk_full {
    use super::*;

    /// A file system of 2 MiB, unmounted at the end.
    struct Small(PathBuf);

    impl Small {
        fn mount(at: &Path) -> Option<Self> {
            fs::create_dir_all(at).expect("made");
            let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output();
            if mounted.is_ok_and(|output| output.status.success()) {
                return Some(Self(at.to_owned()));
            }
            eprintln!("SKIPPED: a full disk needs the right to mount");
            None
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
            assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
        }
    }

    #[tokio::test]
    async fn a_full_disk_leaves_what_was_there_and_nothing_else() {
        let world = World::new();
        let Some(_small) = Small::mount(&world.home.join("in/small")) else { return };
        world.put("in/small/old", b"old").await.expect("fits");
        let request = Push { dest_path: "in/small/old".to_owned(), ..Push::default() };
        refused!(world.files.begin_push(Push { size: Some(3 << 20), ..request.clone() }).await, DiskFull);
        for upload_id in [None, Some("upload-0004".to_owned())] {
            refused!(world.push(Push { upload_id: upload_id.clone(), ..request.clone() }, &noise(6 << 20)).await, DiskFull);
            assert_eq!(world.read("in/small/old"), "old");
            if upload_id.is_none() {
                world.until_no_part("in/small").await;
                continue;
            }
            let kept = PushOffset { dest_path: request.dest_path.clone(), upload_id: "upload-0004".to_owned() };
            assert!(world.files.push_offset(&kept).await.expect("told").offset >= 1 << 20, "it goes on when there is room");
            fs::remove_file(world.home.join("in/small/.loopsy.upload-0004.part")).expect("removed");
        }
        world.push(request, &noise(1 << 20)).await.expect("what fits goes on to work");
    }

    #[tokio::test]
    async fn what_a_crash_left_reserved_counts_as_free_for_its_resume() {
        let world = World::new();
        let Some(small) = Small::mount(&world.home.join("in/small")) else { return };
        let part = small.0.join(".loopsy.upload-0005.part");
        fs::write(&part, noise(5000)).expect("written");
        let file = fs::File::options().write(true).open(&part).expect("there");
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 3 << 19).expect("reserved");
        drop(file);
        let request = Push { dest_path: "in/small/new".to_owned(), upload_id: Some("upload-0005".to_owned()), offset: Some(5000), ..Push::default() };
        refused!(world.files.begin_push(Push { size: Some(3 << 20), ..request.clone() }).await, DiskFull);
        assert_eq!(fs::metadata(&part).expect("kept").len(), 5000);
        world.push(Push { size: Some(3 << 19), ..request }, &noise(3 << 19)[5000..]).await.expect("fits");
    }
}

#[tokio::test]
async fn a_hash_may_be_named_at_the_end_but_not_another() {
    let world = World::new();
    let begin = |sha256| {
        let (files, request) = (world.files.clone(), Push { dest_path: "in/a.txt".to_owned(), sha256, ..Push::default() });
        async move { files.begin_push(request).await }
    };
    let mut push = begin(None).await.expect("begun");
    push.write(Bytes::from_static(b"new")).await.expect("written");
    refused!(push.expect("no hash"), Invalid);
    push.expect(&sha256(b"other")).expect("taken");
    refused!(push.finish().await, ChecksumMismatch);
    assert_eq!(world.read("in/a.txt"), "inside");
    let mut push = begin(Some(sha256(b"new"))).await.expect("begun");
    refused!(push.expect(&sha256(b"other")), Invalid);
}
