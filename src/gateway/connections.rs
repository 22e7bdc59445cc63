//! The connections that are open: how many, from whom, and who makes room for whom.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Connections at once. Of more, the one on which nothing has moved for longest is closed for the newest.
const CONNECTIONS_MAX: usize = 2048;
/// How many times as many a client on this machine may have: a proxy speaks for many.
const LOCAL_TIMES: usize = 3;
/// How long nothing must have moved on a connection for it to be closed for another.
const IDLE_MIN: Duration = Duration::from_millis(500);

/// The clients that count as one: an address, or for IPv6 the network that a line is given.
pub(super) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

/// What goes on on a connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<State>);

struct State {
    accepted: Instant,
    /// When something last moved, in milliseconds since it was accepted.
    moved: AtomicU64,
    /// Requests whose answer is not sent yet.
    serving: AtomicUsize,
    /// It is the client's turn: to send more, or to take what is there.
    waits: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        Self(Arc::new(State {
            accepted: Instant::now(),
            moved: AtomicU64::default(),
            serving: AtomicUsize::default(),
            waits: AtomicBool::default(),
        }))
    }

    /// Bytes came or went.
    pub(super) fn has_moved(&self) {
        let since = u64::try_from(self.0.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.moved.store(since, Ordering::Relaxed);
        self.0.waits.store(false, Ordering::Relaxed);
    }

    /// Nothing goes on until the client does something.
    pub(super) fn waits(&self) {
        self.0.waits.store(true, Ordering::Relaxed);
    }

    /// A request is served until the result is dropped.
    pub(super) fn serve(&self) -> Serving {
        self.0.serving.fetch_add(1, Ordering::Relaxed);
        Serving(self.clone())
    }

    fn is_serving(&self) -> bool {
        self.0.serving.load(Ordering::Relaxed) > 0
    }

    /// How long the client has left the connection alone; none while it waits for an answer.
    fn idle(&self) -> Duration {
        if self.is_serving() && !self.0.waits.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let moved = Duration::from_millis(self.0.moved.load(Ordering::Relaxed));
        self.0.accepted.elapsed().saturating_sub(moved)
    }
}

/// A request that is served.
pub(super) struct Serving(Activity);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections that are open.
pub(super) struct Open {
    per_client: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    all: HashMap<u64, Known>,
    last: u64,
}

struct Known {
    client: IpAddr,
    activity: Activity,
    cut: Arc<Notify>,
}

/// A connection's place among those; free again when dropped.
pub(super) struct Place {
    number: u64,
    pub(super) activity: Activity,
    /// Told when the connection has to make room.
    pub(super) cut: Arc<Notify>,
    open: Arc<Open>,
}

impl Open {
    /// `per_client`: connections at once from one address.
    pub(super) fn new(per_client: usize) -> Arc<Self> {
        Arc::new(Self { per_client: per_client.min(CONNECTIONS_MAX), table: Mutex::default() })
    }

    /// A place for a new connection. Where a client has all of its own, or all are taken, the idlest of those is closed; none
    /// when something goes on on every one.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let client = client_of(peer);
        let most = self.per_client * if client.is_loopback() { LOCAL_TIMES } else { 1 };
        let (activity, cut) = (Activity::new(), Arc::new(Notify::new()));
        let mut table = self.table.lock();
        let of_client = table.all.values().filter(|known| known.client == client).count();
        if of_client >= most {
            table.make_room(|known| known.client == client)?;
        } else if table.all.len() >= CONNECTIONS_MAX {
            table.make_room(|_| true)?;
        }
        table.last += 1;
        let number = table.last;
        table.all.insert(number, Known { client, activity: activity.clone(), cut: Arc::clone(&cut) });
        drop(table);
        Some(Place { number, activity, cut, open: Arc::clone(self) })
    }

    /// Closes those on which no request is served: half a greeting, half a head, or nothing.
    pub(super) fn cut_idle(&self) {
        self.table.lock().all.values().filter(|known| !known.activity.is_serving()).for_each(|known| {
            known.cut.notify_one();
        });
    }
}

impl Table {
    /// Closes the idlest of those; nothing when none is idle.
    fn make_room(&mut self, among: impl Fn(&Known) -> bool) -> Option<()> {
        let among = self.all.iter().filter(|(_, known)| among(known));
        let (idle, number) = among.map(|(number, known)| (known.activity.idle(), *number)).max()?;
        if idle < IDLE_MIN {
            return None;
        }
        self.all.remove(&number)?.cut.notify_one();
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.table.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS_MAX, IDLE_MIN, LOCAL_TIMES, Open, client_of};
    use std::net::IpAddr;

    fn address(n: usize) -> IpAddr {
        let [.., b, c] = n.to_be_bytes();
        IpAddr::from([10, 0, b, c])
    }

    fn pause() {
        std::thread::sleep(IDLE_MIN + IDLE_MIN / 2);
    }

    /// SHD-2: who is at work stays, who is idle makes room.
    #[test]
    fn shd_2_the_idlest_connection_makes_room() {
        let open = Open::new(8);
        let mut places: Vec<_> = (0..CONNECTIONS_MAX).map(|n| open.take(address(n)).unwrap()).collect();
        assert!(open.take(address(9000)).is_none(), "all of them have just come");
        pause();
        places.push(open.take(address(9000)).unwrap());
        assert_eq!(open.table.lock().all.len(), CONNECTIONS_MAX);
        drop(places);
        assert!(open.table.lock().all.is_empty());
    }

    /// SHD-1: a client takes only of its own.
    #[test]
    fn shd_1_a_client_has_so_many_connections_and_no_more() {
        let open = Open::new(3);
        let other = open.take(address(1)).unwrap();
        let mine: Vec<_> = (0..3).map(|_| open.take(address(2)).unwrap()).collect();
        let serving: Vec<_> = mine.iter().map(|place| place.activity.serve()).collect();
        pause();
        assert!(open.take(address(2)).is_none(), "a request is served on each");
        mine[1].activity.waits();
        let newest = open.take(address(2)).unwrap();
        assert_eq!(open.table.lock().all.len(), 4);
        assert!(!open.table.lock().all.contains_key(&mine[1].number), "it waited for its client");
        assert!(open.table.lock().all.contains_key(&other.number));
        drop((serving, newest));
        let local: Vec<_> = (0..3 * LOCAL_TIMES).map(|_| open.take([127, 0, 0, 1].into())).collect();
        assert!(local.iter().all(Option::is_some) && open.take([127, 0, 0, 1].into()).is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let client = |text: &str| client_of(text.parse().unwrap()).to_string();
        assert_eq!(client("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(client("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(client("::1"), "::1");
    }
}
