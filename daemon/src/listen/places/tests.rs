//! Who gets a place, who must leave, and the same against a model that counts by hand.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn admit(places: &Places, from: &str, count: usize) -> Vec<Place> {
    (0..count).map(|_| places.admit(ip(from)).expect("room")).collect()
}

fn known(places: &Places, from: &str, count: usize) -> Vec<Place> {
    let one = |_| {
        let place = places.admit(ip(from)).expect("room");
        place.authenticated(None);
        place
    };
    (0..count).map(one).collect()
}

fn gone(held: &[Place]) -> Vec<usize> {
    held.iter().enumerate().filter(|(_, place)| place.evicted().is_cancelled()).map(|(index, _)| index).collect()
}

#[test]
fn the_oldest_of_a_source_makes_room_for_its_newest() {
    let places = Places::default();
    let mut held = admit(&places, "10.0.0.1", 32);
    let other = admit(&places, "10.0.0.2", 1);
    held.extend(admit(&places, "10.0.0.1", 3));
    assert_eq!(gone(&held), [0, 1, 2]);
    assert!(gone(&other).is_empty());
    assert_eq!(places.book().count, 33);
}

#[test]
fn who_showed_a_key_stays() {
    let places = Places::default();
    let held = admit(&places, "10.0.0.1", 32);
    held[0].authenticated(None);
    held[0].authenticated(None);
    let more = admit(&places, "10.0.0.1", 2);
    assert_eq!(gone(&held), [1]);
    assert!(gone(&more).is_empty());
}

#[test]
fn a_source_has_at_most_64_with_a_key_and_the_rest_counts_as_without() {
    let places = Places::default();
    let mut held = known(&places, "10.0.0.1", 100);
    assert_eq!(gone(&held), [64, 65, 66, 67], "100 showed a key, 64 count as such, 32 of the rest stay");
    drop(held.remove(0));
    let last = held.len() - 1;
    held[last].authenticated(None);
    held.extend(admit(&places, "10.0.0.1", 33));
    assert!(!held[last].evicted().is_cancelled(), "it took the place of the one that left");
}

#[test]
fn this_machine_leaves_places_for_others() {
    let places = Places::default();
    let mut held = known(&places, "127.0.0.1", 248);
    held.extend(admit(&places, "::ffff:127.0.0.1", 200));
    held.extend(known(&places, "127.0.0.1", 200));
    assert_eq!(gone(&held).len(), 200, "the 200 without a key");
    assert!(places.admit(ip("127.0.0.1")).is_none(), "448 with a key");
    let far = known(&places, "10.0.0.1", 64);
    assert!(places.admit(ip("10.0.0.2")).is_none(), "512 with a key");
    drop(far);
    assert!(places.admit(ip("10.0.0.2")).is_some());
}

#[test]
fn a_full_house_gives_up_the_oldest_of_the_most_crowded_source() {
    let places = Places::default();
    let big = admit(&places, "127.0.0.2", 256);
    let small = admit(&places, "127.0.0.3", 255);
    let one = admit(&places, "10.0.0.1", 1);
    let new = admit(&places, "10.0.0.2", 1);
    assert_eq!((gone(&big), gone(&small).len(), gone(&one).len()), (vec![0], 0, 0));
    let more = admit(&places, "10.0.0.3", 2);
    assert_eq!((gone(&big), gone(&small)), (vec![0, 1], vec![0]), "of equals the one with the oldest first");
    drop((big, small, one, new, more));
    let book = places.book();
    assert_eq!((book.count, book.sources.len()), (0, 0));
}

#[test]
fn ipv6_counts_by_network_and_mapped_addresses_as_what_they_are() {
    assert_eq!(source(ip("2001:db8:1:2:3:4:5:6")), source(ip("2001:db8:1:2::1")));
    assert_ne!(source(ip("2001:db8:1:2::1")), source(ip("2001:db8:1:3::1")));
    assert_eq!(source(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
    assert_eq!(source(ip("::1")), ip("::1"));
    assert_ne!(source(ip("127.0.0.1")), source(ip("127.0.0.2")));
}

#[test]
fn admission_stays_quick_when_every_place_is_taken_by_another_source() {
    let places = Places::default();
    let mut held = std::collections::VecDeque::new();
    let begun = std::time::Instant::now();
    for n in 0..20_000_u32 {
        held.push_back(places.admit(IpAddr::from((0x0a00_0000 + n).to_be_bytes())).expect("room"));
        if held.len() > 600 {
            held.pop_front();
        }
    }
    let each = begun.elapsed() / 20_000;
    println!("{each:?} each");
    assert!(each < std::time::Duration::from_millis(1), "{each:?} each");
}

/// What happens to the places.
#[derive(Debug, Clone)]
enum Step {
    Admit(usize),
    Authenticate(usize),
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![4 => (0usize..5).prop_map(Step::Admit), 2 => any::<usize>().prop_map(Step::Authenticate), 1 => any::<usize>().prop_map(Step::Leave)];
    proptest::collection::vec(step, 0..120)
}

/// A connection of the model, in a list from the oldest to the newest.
struct Counted {
    source: usize,
    known: bool,
    gone: bool,
}

const FROM: [&str; 5] = ["127.0.0.1", "127.0.0.2", "10.0.0.1", "10.0.0.2", "2001:db8::1"];
const SMALL: Limits = Limits { all: 10, far: Share { unknown: 3, known: 2, all: 5 }, near: Share { unknown: 4, known: 6, all: 6 }, peer: 2, peers: 3 };

/// Says whether there is room, and marks who must leave for it. Counts everything anew each time.
fn make_room(model: &mut [Counted], source: usize) -> bool {
    let count = |model: &[Counted], of: usize, known: bool| model.iter().filter(|c| !c.gone && c.source == of && c.known == known).count();
    let share = if source < 2 { SMALL.near } else { SMALL.far };
    let (unknown, known) = (count(model, source, false), count(model, source, true));
    let from = if unknown >= share.unknown || unknown + known >= share.all {
        source
    } else if model.iter().filter(|c| !c.gone).count() >= SMALL.all {
        let most = (0..FROM.len()).map(|of| count(model, of, false)).max().unwrap_or(0);
        match model.iter().find(|c| !c.gone && !c.known && count(model, c.source, false) == most) {
            Some(oldest) => oldest.source,
            None => return false,
        }
    } else {
        return true;
    };
    let oldest = model.iter_mut().find(|c| !c.gone && !c.known && c.source == from);
    oldest.map(|oldest| oldest.gone = true).is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn places_are_given_as_a_naive_model_gives_them(steps in steps()) {
        let places = Places::within(SMALL);
        let (mut held, mut model) = (Vec::<Place>::new(), Vec::<Counted>::new());
        for step in steps {
            match step {
                Step::Admit(source) => {
                    let place = places.admit(ip(FROM[source]));
                    prop_assert_eq!(place.is_some(), make_room(&mut model, source));
                    if let Some(place) = place {
                        held.push(place);
                        model.push(Counted { source, known: false, gone: false });
                    }
                }
                Step::Authenticate(at) if !held.is_empty() => {
                    let at = at % held.len();
                    held[at].authenticated(None);
                    let share = if model[at].source < 2 { SMALL.near } else { SMALL.far };
                    let known = model.iter().filter(|c| c.source == model[at].source && c.known).count();
                    model[at].known |= !model[at].gone && known < share.known;
                }
                Step::Leave(at) if !held.is_empty() => {
                    let at = at % held.len();
                    drop(held.remove(at));
                    model.remove(at);
                }
                Step::Authenticate(_) | Step::Leave(_) => {}
            }
            let book = places.book();
            prop_assert_eq!(book.count, model.iter().filter(|c| !c.gone).count());
            prop_assert!(book.count <= SMALL.all);
            for (place, counted) in held.iter().zip(&model) {
                prop_assert_eq!((place.evicted.is_cancelled(), place.known.load(Ordering::Relaxed)), (counted.gone, counted.known));
            }
            for (index, from) in FROM.iter().enumerate() {
                let share = if index < 2 { SMALL.near } else { SMALL.far };
                let (unknown, known) = book.sources.get(&source(ip(from))).map_or((0, 0), |held| (held.unknown.len(), held.known));
                prop_assert!(unknown <= share.unknown && known <= share.known && unknown + known <= share.all);
                prop_assert_eq!(known, model.iter().filter(|c| c.source == index && c.known).count());
            }
        }
        drop(held);
        prop_assert!(places.book().sources.is_empty());
    }
}

#[test]
fn peers_never_hold_every_place() {
    let places = Places::default();
    let far = |n: usize| IpAddr::from([10, 0, u8::try_from(n / 250).unwrap(), u8::try_from(n % 250).unwrap()]);
    let held: Vec<Place> = (0..512).map(|n| places.admit(far(n)).expect("room")).collect();
    // One peer's key on as many connections as it likes, from as many addresses as it likes.
    held.iter().for_each(|place| place.authenticated(Some("mallory")));
    assert_eq!(held.iter().filter(|place| place.known.load(Ordering::Relaxed)).count(), LIMITS.peer);
    // Many peers together leave room for the owner, who comes at last and stays.
    held.iter().enumerate().for_each(|(n, place)| place.authenticated(Some(&format!("peer-{}", n % 20))));
    assert_eq!(held.iter().filter(|place| place.known.load(Ordering::Relaxed)).count(), LIMITS.peers);
    let owner = places.admit("127.0.0.1".parse().unwrap()).expect("room for the owner");
    owner.authenticated(None);
    assert!(owner.known.load(Ordering::Relaxed));
    drop(held);
    assert!(places.book().peers.is_empty() && places.book().count == 1);
}
