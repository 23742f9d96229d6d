//! Two nodes on the loopback interface and a port of their own. Nothing leaves the machine.

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
        assert!(begun.elapsed() < Duration::from_millis(900), "stopping took {:?}", begun.elapsed());
        assert!(self.discovery.sightings().list().is_empty());
    }
}

fn me(port: u16) -> Me {
    Me { node_id: NodeId::new(), port, bound: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

fn trial() -> Reach {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    Reach::Loopback { port }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_other_come_change_and_go() {
    let (kai, leo, reach) = (me(4001), me(4002), trial());
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
    assert_eq!(Discovery::new(changes, me(4003), trial(), Sightings::default()).name(&off), None);
}
