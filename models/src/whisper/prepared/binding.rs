//! A session whose tensors are bound to memory once and stay where they are.
//!
//! Flow: memory and its shapes -> [`Bound::bind`] -> numbers in place -> [`Bound::run`] -> numbers
//! in place. In the worker process, on the thread of the recogniser. A run allocates nothing in
//! Rust: `ort` collects the outputs of a bound run into new values, so the run is called directly.

#![allow(
    unsafe_code,
    reason = "ONNX Runtime reads and writes this memory behind Rust's back"
)]

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

use ort::{
    AsPointer, Error,
    memory::{Allocator, MemoryInfo},
    session::{IoBinding, RunOptions, Session},
    value::{DynTensor, PrimitiveTensorElementType},
};

/// Bytes that each memory begins at a multiple of: a cache line, for the vector instructions.
const ALIGN: usize = 64;
/// The system's allocator gives this much without touching the memory.
const ALIGN_SYSTEM: usize = 16;

/// A number that tensors hold. All bits zero is a number of each of them.
pub(super) trait Number: PrimitiveTensorElementType + Copy {}
impl Number for f32 {}
impl Number for i32 {}
impl Number for i64 {}

/// Memory that more than one session is bound to. Nothing in Rust can look into it.
#[derive(Clone)]
pub(super) struct Shared {
    block: Arc<Block>,
}

impl Shared {
    /// Makes zeroed memory for `count` numbers. What was never written takes no memory.
    pub(super) fn new<T: Number>(count: usize) -> Self {
        Self {
            block: Arc::new(Block::new::<T>(count)),
        }
    }
}

/// Memory of one [`Bound`], which alone can look into it.
pub(super) struct Room<T> {
    index: usize,
    count: usize,
    of: PhantomData<T>,
}

/// Which way a tensor goes.
#[derive(Clone, Copy)]
pub(super) enum Way {
    In,
    Out,
}

/// A session with its memory and its bindings.
pub(super) struct Bound {
    session: Session,
    /// Sets of bindings: one for each kind of call.
    sets: Vec<Set>,
    rooms: Vec<Arc<Block>>,
}

/// One set of bindings.
struct Set {
    binding: IoBinding,
    /// The memory that each name is bound to: it must outlive the binding.
    held: Vec<(String, Arc<Block>)>,
}

impl Bound {
    /// Takes over `session`, to be run with `set_count` sets of bindings.
    pub(super) fn new(session: Session, set_count: usize) -> ort::Result<Self> {
        let set = || {
            Ok(Set {
                binding: session.create_binding()?,
                held: Vec::new(),
            })
        };
        let sets = (0..set_count).map(|_| set()).collect::<ort::Result<_>>()?;
        Ok(Self {
            session,
            sets,
            rooms: Vec::new(),
        })
    }

    /// Makes zeroed memory for `count` numbers.
    pub(super) fn room<T: Number>(&mut self, count: usize) -> Room<T> {
        self.rooms.push(Arc::new(Block::new::<T>(count)));
        Room {
            index: self.rooms.len() - 1,
            count,
            of: PhantomData,
        }
    }

    /// Binds the tensor `name` in the set `set` to the first numbers of `room`, as many as `shape`
    /// has, in place of what it was bound to.
    pub(super) fn bind<T: Number>(
        &mut self,
        set: usize,
        way: Way,
        name: &str,
        room: &Room<T>,
        shape: &[usize],
    ) -> ort::Result<()> {
        let block = Arc::clone(&self.rooms[room.index]);
        self.sets[set].bind::<T>(way, name, block, shape)
    }

    /// Binds like [`Bound::bind`], to memory that is shared with others.
    pub(super) fn bind_shared<T: Number>(
        &mut self,
        set: usize,
        way: Way,
        name: &str,
        memory: &Shared,
        shape: &[usize],
    ) -> ort::Result<()> {
        self.sets[set].bind::<T>(way, name, Arc::clone(&memory.block), shape)
    }

    /// Returns the numbers in `room`.
    pub(super) fn numbers<T: Number>(&self, room: &Room<T>) -> &[T] {
        let block = &self.rooms[room.index];
        assert!(room.count * size_of::<T>() <= block.bytes);
        // SAFETY: the block has room for the numbers (see the assertion), is aligned to more than
        // any of them, began as zeros, and zeros are such a number. Nobody writes to it while the
        // slice lives: `rooms` are handed out by `self` only, and a run needs `self` exclusively.
        unsafe { slice::from_raw_parts(block.start.as_ptr().cast(), room.count) }
    }

    /// Returns the numbers in `room`, to be changed in place.
    pub(super) fn numbers_mut<T: Number>(&mut self, room: &Room<T>) -> &mut [T] {
        let block = &self.rooms[room.index];
        assert!(room.count * size_of::<T>() <= block.bytes);
        // SAFETY: as in `numbers`; and nobody reads it either, for `self` is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(block.start.as_ptr().cast(), room.count) }
    }

    /// Runs the session on what the set `set` is bound to.
    pub(super) fn run(&mut self, set: usize, options: &RunOptions) -> ort::Result<()> {
        let run = ort::api().RunWithBinding;
        let session = self.session.ptr_mut();
        // SAFETY: the three pointers are of live objects that `self` and `options` keep; the
        // bindings were made by this session, and all memory that they point to is held by the set
        // and borrowed by nobody, for `self` is borrowed exclusively. Shared memory has no slices,
        // and no other session runs on it now: one thread owns them all. A tensor of another shape
        // than the graph computes is an error in ONNX Runtime and not written to.
        let status = unsafe { run(session, options.ptr(), self.sets[set].binding.ptr()) };
        // SAFETY: the status comes from the call above and is given away here, once.
        unsafe { Error::result_from_status(status) }
    }
}

impl Set {
    fn bind<T: Number>(
        &mut self,
        way: Way,
        name: &str,
        block: Arc<Block>,
        shape: &[usize],
    ) -> ort::Result<()> {
        let tensor = block.tensor::<T>(shape)?;
        match way {
            Way::In => self.binding.bind_input(name, &tensor)?,
            Way::Out => self.binding.bind_output(name, tensor)?,
        }
        match self.held.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => *held = block,
            None => self.held.push((name.into(), block)),
        }
        Ok(())
    }
}

/// Zeroed memory that never moves. What was never written takes no memory.
struct Block {
    /// A multiple of [`ALIGN`].
    start: NonNull<u8>,
    bytes: usize,
    /// What the system gave, to be given back.
    whole: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block is plain memory that belongs to no thread; who may look into it is settled by
// `Bound` and `Shared`, see there.
unsafe impl Send for Block {}
// SAFETY: as above. A shared reference to a block gives no access to its memory outside this file.
unsafe impl Sync for Block {}

impl Block {
    fn new<T: Number>(count: usize) -> Self {
        const { assert!(align_of::<T>() <= ALIGN && ALIGN_SYSTEM <= ALIGN) };
        let sized = count.checked_mul(size_of::<T>());
        let layout = sized
            .and_then(|bytes| bytes.checked_add(ALIGN))
            .and_then(|bytes| Layout::from_size_align(bytes, ALIGN_SYSTEM).ok());
        let (Some(bytes), Some(layout)) = (sized, layout) else {
            handle_alloc_error(Layout::new::<T>());
        };
        // SAFETY: the layout is not empty: it has `ALIGN` bytes more than the numbers.
        let Some(whole) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout);
        };
        let ahead = whole.as_ptr().align_offset(ALIGN);
        assert!(ahead < ALIGN);
        // SAFETY: less than `ALIGN` bytes ahead, and `bytes` behind that, are within the block.
        let start = unsafe { whole.add(ahead) };
        Self {
            start,
            bytes,
            whole,
            layout,
        }
    }

    /// Returns a tensor over the first numbers. It must not be read or written after the block.
    fn tensor<T: Number>(&self, shape: &[usize]) -> ort::Result<DynTensor> {
        let count = shape.iter().try_fold(1_usize, |a, &b| a.checked_mul(b));
        let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
        let Some(bytes) = bytes.filter(|&bytes| bytes <= self.bytes) else {
            return Err(Error::new("invalid dimensions: more than the memory holds"));
        };
        let mut sizes = [0_i64; 4];
        for (size, &wanted) in sizes.iter_mut().zip(shape) {
            *size = wanted as i64;
        }
        assert!(shape.len() <= sizes.len());
        let mut value = ptr::null_mut();
        // SAFETY: the memory is `bytes` long and stays where it is until the block is dropped;
        // whoever binds the tensor holds the block (`Set::bind`). The shape is copied.
        let status = unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                MemoryInfo::default().ptr(),
                self.start.as_ptr().cast(),
                bytes,
                sizes.as_ptr(),
                shape.len(),
                T::into_tensor_element_type().into(),
                &raw mut value,
            )
        };
        // SAFETY: the status comes from the call above and is given away here, once.
        unsafe { Error::result_from_status(status) }?;
        let value = NonNull::new(value).ok_or_else(|| Error::new("no tensor was made"))?;
        // SAFETY: the value was made above, is a tensor, and nobody else owns it.
        Ok(unsafe { DynTensor::from_ptr(value, Some(&Allocator::default())) })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `whole` came from this allocator with this layout, and is given back once.
        unsafe { dealloc(self.whole.as_ptr(), self.layout) }
    }
}
