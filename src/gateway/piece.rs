//! Pieces of answers' bodies and the memory they lie in, which is used again: threads that read would each take their own from
//! the allocator and keep it, many times what is in use.

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Bytes read at a time for an answer's body, where there is room for them.
const LARGE_BYTES: usize = 256 * 1024;
/// Where there is not, and what needs no room.
const SMALL_BYTES: usize = 32 * 1024;
/// Up to this many bytes memory is as long as they are.
const TINY_BYTES: usize = 4096;
/// Room for larger pieces of all answers of the process, in pieces: 64 MiB.
const LARGE_MAX: usize = 256;
/// Small pieces whose memory is kept for others: 16 MiB.
const SMALL_KEPT: usize = 512;
/// Pieces of an answer in memory at once: one on its way, and the next. With a client that takes nothing that is all it holds.
pub(super) const PIECES_OF_ANSWER: usize = 2;

static ROOM: Semaphore = Semaphore::const_new(LARGE_MAX);
static LARGE: Pool = Pool::new(LARGE_BYTES, LARGE_MAX);
static SMALL: Pool = Pool::new(SMALL_BYTES, SMALL_KEPT);

/// Memory that is not in use.
struct Pool {
    bytes: usize,
    kept_max: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

impl Pool {
    const fn new(bytes: usize, kept_max: usize) -> Self {
        Self { bytes, kept_max, free: Mutex::new(Vec::new()) }
    }

    fn take(&self) -> Box<[u8]> {
        // The lock is not held while memory is asked for.
        let free = self.free.lock().pop();
        free.unwrap_or_else(|| vec![0; self.bytes].into())
    }

    fn give_back(&self, bytes: Box<[u8]>) {
        let mut free = self.free.lock();
        if free.len() < self.kept_max {
            free.push(bytes);
        }
    }
}

/// A piece of a body that goes.
pub(super) struct Piece {
    bytes: Box<[u8]>,
    len: usize,
    pool: Option<&'static Pool>,
    _room: Option<SemaphorePermit<'static>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Piece {
    /// One for the first of `wanted` bytes: as many as there is room for. What is in it is to be written over.
    pub(super) fn for_some_of(wanted: u64) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let room = if wanted > SMALL_BYTES { ROOM.try_acquire().ok() } else { None };
        let pool = match room {
            Some(_) => Some(&LARGE),
            None if wanted > TINY_BYTES => Some(&SMALL),
            None => None,
        };
        let bytes = pool.map_or_else(|| vec![0; wanted].into(), Pool::take);
        Self { len: wanted.min(bytes.len()), bytes, pool, _room: room, _place: None }
    }

    /// Has `place` free again when the connection has taken the bytes.
    pub(super) fn holding(mut self, place: OwnedSemaphorePermit) -> Self {
        self._place = Some(place);
        self
    }

    pub(super) fn len(&self) -> u64 {
        self.len as u64
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Before the room is free: of larger pieces there is never memory for more than have room.
        if let Some(pool) = self.pool {
            pool.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE, LARGE_BYTES, LARGE_MAX, Piece, SMALL_BYTES};

    #[test]
    fn larger_pieces_have_room_and_memory_is_used_again() {
        let of = |wanted: usize| Piece::for_some_of(wanted as u64);
        assert_eq!([of(0).len(), of(7).len(), of(SMALL_BYTES).len()], [0, 7, SMALL_BYTES as u64]);
        for _ in 0..2 {
            let many: Vec<_> = (0..LARGE_MAX + 10).map(|_| of(10 * LARGE_BYTES)).collect();
            let large = many.iter().filter(|piece| piece.len() == LARGE_BYTES as u64).count();
            assert_eq!(large, LARGE_MAX);
            assert!(many.iter().skip(LARGE_MAX).all(|piece| piece.len() == SMALL_BYTES as u64));
            drop(many);
            assert_eq!(LARGE.free.lock().len(), LARGE_MAX);
        }
        let mut piece = of(SMALL_BYTES + 1);
        piece.bytes_mut().fill(7);
        assert_eq!(piece.as_ref(), [7; SMALL_BYTES + 1]);
    }
}
