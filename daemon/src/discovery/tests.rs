//! Nodes on the loopback interface of a network of their own, and on a port of their own: nothing leaves the machine.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use loopsy_shared::{config::Config, id::NodeId};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::*;

const PATIENCE: Duration = Duration::from_secs(12);

/// Set in the process that runs in a network of its own.
const ALONE: &str = "LOOPSY_TEST_ALONE";

/// Whether this process has a network of its own, so that not even the kernel tells anybody of a multicast group. Otherwise the test is run in one: a process
/// of the same test binary, whose outcome is this one's.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let own = std::env::current_exe().expect("the test binary");
    let mut command = std::process::Command::new("unshare");
    command.args(["--net", "--map-root-user", "sh", "-c", "ip link set lo up && exec \"$0\" --exact --nocapture \"$1\""]);
    let ran = command.arg(own).arg(format!("discovery::tests::{test}")).env(ALONE, "1").output();
    match ran {
        Ok(ran) if ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("1 passed") => {}
        Ok(ran) if String::from_utf8_lossy(&ran.stdout).contains("running 1 test") => {
            panic!("{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        }
        // Past what the test harness keeps to itself.
        other => {
            let banner = format!("!!!! SKIPPED: {test} needs a network namespace (`unshare` and `ip`): {other:?}\n");
            std::io::Write::write_all(&mut std::io::stderr(), banner.as_bytes()).expect("standard error");
        }
    }
    false
}

struct Node {
    discovery: Discovery,
    config: watch::Sender<Arc<Config>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Node {
    fn start(name: &str, me: Me, reach: Reach) -> Self {
        let mut config = Config::default();
        config.server.hostname = Some(name.to_owned());
        let (config, changes) = watch::channel(Arc::new(config));
        let (discovery, stop) = (Discovery::new(changes, me, reach, Sightings::default()), CancellationToken::new());
        let (running, told) = (discovery.clone(), stop.clone());
        let task = tokio::spawn(async move { running.run(told).await });
        Self { discovery, config, stop, task }
    }

    fn change(&self, change: impl FnOnce(&mut Config)) {
        self.config.send_modify(|config| change(Arc::make_mut(config)));
    }

    /// Waits until the table is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&[Sighting]) -> bool) -> Vec<Sighting> {
        let mut changes = self.discovery.sightings().watch();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let list = self.discovery.sightings().list();
                if wanted(&list) {
                    return list;
                }
                changes.changed().await.unwrap();
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what}: {:?}, {:?}", self.discovery.sightings().list(), self.discovery.problem()))
    }

    async fn stop(self) {
        self.stop.cancel();
        let begun = Instant::now();
        self.task.await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(700), "stopping took {:?}", begun.elapsed());
        assert!(self.discovery.sightings().list().is_empty());
    }
}

fn me(port: u16) -> Me {
    Me { node_id: NodeId::new(), port, bound: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

fn trial() -> (Reach, u16) {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    (Reach::Loopback { port }, port)
}

/// A response as a node of the reference sends it: everything in one packet, no flags for the cache. Addressed to the port on loopback, not to the group.
fn packet(instance: &[u8], host: &[&[u8]], port: u16, txt: &[u8], address: [u8; 4]) -> Vec<u8> {
    let name = |labels: &[&[u8]]| -> Vec<u8> {
        labels.iter().flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.iter().copied())).chain([0]).collect()
    };
    let record = |owner: Vec<u8>, kind: u16, ttl: u32, data: Vec<u8>| -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [owner, kind.to_be_bytes().to_vec(), vec![0, 1], ttl.to_be_bytes().to_vec(), length.to_vec(), data].concat()
    };
    let service: [&[u8]; 3] = [b"_loopsy", b"_tcp", b"local"];
    let (service, full) = (name(&service), name(&[instance, b"_loopsy", b"_tcp", b"local"]));
    [
        vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0],
        record(service, 12, 28800, full.clone()),
        record(full.clone(), 33, 120, [vec![0, 0, 0, 0], port.to_be_bytes().to_vec(), name(host)].concat()),
        record(full, 16, 4500, txt.to_vec()),
        record(name(host), 1, 120, address.to_vec()),
    ]
    .concat()
}

fn txt(entries: &[&str]) -> Vec<u8> {
    entries.iter().flat_map(|entry| std::iter::once(u8::try_from(entry.len()).unwrap()).chain(entry.bytes())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_other_come_change_and_go() {
    if !alone("nodes_see_each_other_come_change_and_go") {
        return;
    }
    let (kai, leo, (reach, _)) = (me(4001), me(4002), trial());
    let (kai_id, leo_id) = (kai.node_id.clone(), leo.node_id.clone());
    let (kai, leo) = (Node::start("Kai.example.com", kai, reach), Node::start("leo", leo, reach));

    let seen = leo.until("leo sees kai", |list| !list.is_empty()).await;
    assert_eq!(seen.len(), 1, "and not itself: {seen:?}");
    assert_eq!((&seen[0].node_id, seen[0].hostname.as_str(), seen[0].port), (&kai_id, "Kai-example-com", 4001));
    assert_eq!(seen[0].addresses, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    assert_eq!((seen[0].version.as_str(), seen[0].platform.as_str()), (loopsy_shared::VERSION, loopsy_shared::api::health::platform()));
    assert_eq!(seen[0].capabilities, loopsy_shared::api::health::CAPABILITIES);
    assert_eq!(leo.discovery.sightings().find("kai.example.com").len(), 1);
    let seen = kai.until("kai sees leo", |list| !list.is_empty()).await;
    assert_eq!((seen.len(), &seen[0].node_id, seen[0].port), (1, &leo_id, 4002));

    kai.change(|config| config.server.hostname = Some("kai2".to_owned()));
    leo.until("the new name is seen", |list| list.iter().any(|one| one.hostname == "kai2")).await;

    kai.change(|config| config.discovery.enabled = false);
    leo.until("leo hears the goodbye", <[Sighting]>::is_empty).await;
    kai.until("and kai is deaf", <[Sighting]>::is_empty).await;
    kai.change(|config| config.discovery.enabled = true);
    leo.until("kai is back", |list| list.iter().any(|one| one.node_id == kai_id && one.hostname == "kai2")).await;

    assert_eq!((kai.discovery.problem(), leo.discovery.problem()), (None, None));
    kai.stop().await;
    leo.until("kai stopped", <[Sighting]>::is_empty).await;
    leo.stop().await;
}

/// Reach is the network here, so the test is that nothing starts.
#[tokio::test]
async fn a_node_on_loopback_is_silent_on_the_network() {
    let (_config, changes) = watch::channel(Arc::new(Config::default()));
    let discovery = Discovery::new(changes, me(4003), Reach::Lan, Sightings::default());
    assert_eq!(discovery.name(&Config::default()), None);
    let off = Config { discovery: loopsy_shared::config::Discovery { enabled: false, ..Default::default() }, ..Config::default() };
    let (_config, changes) = watch::channel(Arc::new(Config::default()));
    assert_eq!(Discovery::new(changes, me(4003), trial().0, Sightings::default()).name(&off), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_the_reference_are_read_and_hostile_ones_are_harmless() {
    if !alone("packets_of_the_reference_are_read_and_hostile_ones_are_harmless") {
        return;
    }
    let (reach, port) = trial();
    let own = me(4004);
    let own_id = format!("nodeId={}", own.node_id);
    let node = Node::start("kai", own, reach);
    let wire = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (known, evil) = (format!("nodeId={}", NodeId::new()), format!("nodeId={}", NodeId::new()));
    let active = ["version=\u{1b}[2J\u{202e}", "platform=\u{1b}]0;x\u{7}", "capabilities=\u{1b}[1m,execute,\u{200b}", evil.as_str()];
    let packets = [
        packet(b"loopsy-12345678", &[b"vm"], 19532, &txt(&[&known, "version=1.0.0", "platform=linux", "capabilities=execute,ai-tasks"]), [10, 1, 2, 3]),
        packet(b"loop\x1b[31msy", &[b"e\x1b[31mvil", b"local"], 19532, &txt(&active), [10, 1, 2, 4]),
        packet(b"no-port", &[b"p"], 0, &txt(&["nodeId=11111111-2222"]), [10, 1, 2, 5]),
        packet(b"no-id", &[b"q"], 1, &txt(&["version=1"]), [10, 1, 2, 6]),
        packet(b"me", &[b"r"], 1, &txt(&[&own_id]), [10, 1, 2, 7]),
        packet(b"raw", &[b"s"], 1, &[&[255][..], &[b'='; 1_200]].concat(), [10, 1, 2, 8]),
        vec![0xff; 1_400],
        Vec::new(),
    ];
    let begun = Instant::now();
    while node.discovery.sightings().list().len() < 2 && begun.elapsed() < PATIENCE {
        for packet in &packets {
            wire.send_to(packet, (Ipv4Addr::LOCALHOST, port)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let list = node.discovery.sightings().list();
    assert_eq!(list.len(), 2, "{list:?}");
    let vm = &node.discovery.sightings().find("vm")[0];
    assert_eq!((vm.port, vm.version.as_str(), vm.addresses.as_slice()), (19532, "1.0.0", &["10.1.2.3".parse::<IpAddr>().unwrap()][..]));
    let evil = list.iter().find(|one| one.hostname != "vm").unwrap();
    assert_eq!((evil.hostname.as_str(), evil.version.as_str()), ("e--31mvil", "\\u{1b}[2J\\u{202e}"));
    assert_eq!(evil.capabilities, ["execute"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_bounded_and_passes() {
    if !alone("a_flood_is_bounded_and_passes") {
        return;
    }
    let (reach, port) = trial();
    let node = Node::start("kai", me(4005), reach);
    let wire = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let begun = Instant::now();
    let mut sent = 0u32;
    while node.discovery.problem().is_none() && begun.elapsed() < PATIENCE {
        for _ in 0..50 {
            let name = format!("flood-{sent}");
            let entries = txt(&[&format!("nodeId={sent:08x}-0000"), "version=\u{1b}[2J"]);
            let [_, b, c, d] = sent.to_be_bytes();
            wire.send_to(&packet(name.as_bytes(), &[name.as_bytes()], 1, &entries, [10, b, c, d]), (Ipv4Addr::LOCALHOST, port)).unwrap();
            sent += 1;
        }
        assert!(node.discovery.sightings().list().len() <= MOST_NODES);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(node.discovery.problem().is_some_and(|problem| problem.contains("floods")), "{:?} after {sent} packets", node.discovery.problem());
    while node.discovery.problem().is_some() && begun.elapsed() < 2 * PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(node.discovery.problem(), None, "begun anew once it is over");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_a_problem_until_it_is_free() {
    if !alone("a_port_that_is_taken_is_a_problem_until_it_is_free") {
        return;
    }
    let (reach, port) = trial();
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let node = Node::start("kai", me(4006), reach);
    let begun = Instant::now();
    while node.discovery.problem().is_none() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(node.discovery.problem().is_some_and(|problem| problem.contains("5353")), "{:?}", node.discovery.problem());
    drop(taken);
    while node.discovery.problem().is_some() && begun.elapsed() < 2 * PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(node.discovery.problem(), None);
    node.stop().await;
}
