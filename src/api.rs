//! What JavaScript calls.

#![expect(clippy::type_complexity, reason = "the signatures for TypeScript are made of these types")]
#![expect(clippy::unnecessary_wraps, reason = "all functions have one form")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use locket::{
    CompletionSink, Handle, HandleOptions, LockMode, Outcome, Party, Protocol, ProtocolOptions, Removal,
    RequestOptions, is_first_thread,
};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::ENGINE;
use crate::convert::{
    Failure, LockHolder, Snapshot, to_ended, to_file_id, to_file_number, to_number, to_path,
};
use crate::environment::Environment;
use crate::handles::token;
use crate::raw::{Env, Live};
use crate::remove_entries_at_exit;

/// The functions of one environment. Each description begins with the names of the arguments, in their order.
///
/// `handle` is a number that `createHandle` gave. `id` is the caller's, unique among the pending promises of its handle.
#[napi(object, object_from_js = false)]
pub(crate) struct NativeApi {
    /// `(path, fileMode, removal, allowDirectory, protocol?, stale?, update?, permits?)`: creates a handle for an absolute path,
    /// which is a string, or bytes that are not UTF-8. `removal`: when the file is deleted: 0: never, 1: on release, 2: when nobody
    /// uses it. The times are in ms. With `permits`, the path names a semaphore, and an acquire is that of one permit.
    pub create_handle: Function<
        'static,
        FnArgs<(
            Either<String, Uint8Array>,
            u32,
            u32,
            bool,
            Option<String>,
            Option<u32>,
            Option<u32>,
            Option<u32>,
        )>,
        u32,
    >,
    /// `(handle)`: frees a handle. It keeps what it holds: a lock is held until it is released.
    pub forget_handle: Function<'static, FnArgs<(u32,)>, ()>,
    /// `(handle)`: returns true if this handle holds the lock.
    pub is_held: Function<'static, FnArgs<(u32,)>, bool>,
    /// `(handle, id, shared, timeout, namesHolders, file?)`: waits for the lock, for at most `timeout` ms. The result is a
    /// promise only if it is not known at once; `undefined` stands for the lock. With `namesHolders`, a timeout names the
    /// holders. With `file`, the number of a file, the wait fails as `replaced` if the path names another one.
    pub acquire: Function<
        'static,
        FnArgs<(u32, u32, bool, f64, bool, Option<BigInt>)>,
        Either3<PromiseRaw<'static, Either<Failure, ()>>, Failure, ()>,
    >,
    /// `(handle, id)`: same as `acquire` of the exclusive lock without waiting, but takes the lock from whatever holds it in this
    /// process, and comes before all that wait.
    pub steal:
        Function<'static, FnArgs<(u32, u32)>, Either3<PromiseRaw<'static, Either<Failure, ()>>, Failure, ()>>,
    /// `(handle, id)`: marks the lock as received: it cannot be released before. Returns the number of the acquisition, unique
    /// in this process.
    pub receive: Function<'static, FnArgs<(u32, u32)>, Either<f64, ()>>,
    /// `(handle, shared, timeout, namesHolders, file?)`: same as `acquire`, but blocks the thread, and receives the lock itself:
    /// returns the number of the acquisition.
    pub acquire_sync: Function<'static, FnArgs<(u32, bool, f64, bool, Option<BigInt>)>, Either<f64, Failure>>,
    /// `(handle)`: returns the number of the file that this handle holds, or that its last request has found. The numbers of
    /// files have the same order in all processes of a machine.
    pub file_number: Function<'static, FnArgs<(u32,)>, Either<BigInt, ()>>,
    /// `(handle, id)`: resolves to true if any process holds the lock now.
    pub is_locked: Function<'static, FnArgs<(u32, u32)>, PromiseRaw<'static, Either<bool, Failure>>>,
    /// `(handle, id)`: resolves to the processes that hold the lock, or to `undefined` if the system does not tell.
    pub holders:
        Function<'static, FnArgs<(u32, u32)>, PromiseRaw<'static, Either3<Vec<LockHolder>, Failure, ()>>>,
    /// `(handle, id)`: resolves, as `holders`, to the processes that wait for the lock in the kernel. This process, and any
    /// other that uses this package, waits there for the first in its queue.
    pub waiters:
        Function<'static, FnArgs<(u32, u32)>, PromiseRaw<'static, Either3<Vec<LockHolder>, Failure, ()>>>,
    /// Returns what this process holds and waits for, over all its threads, in the order of arrival.
    pub query: Function<'static, (), Snapshot>,
    /// `(handle, id)`: removes the lock entry, whoever holds the lock. Resolves to true if there was one.
    pub break_lock: Function<'static, FnArgs<(u32, u32)>, PromiseRaw<'static, Either<bool, Failure>>>,
    /// Resolves to the handles whose holds have been lost since the last call. The promise does not keep the process alive.
    pub next_losses: Function<'static, (), PromiseRaw<'static, Vec<u32>>>,
    /// `(handle)`: returns the descriptor of the file that this handle has locked, if a child can inherit the lock by it.
    pub descriptor: Function<'static, FnArgs<(u32,)>, Either<i32, ()>>,
    /// `(handle, id)`: cancels the wait with this id, if it is pending.
    pub cancel: Function<'static, FnArgs<(u32, u32)>, ()>,
    /// `(handle)`: releases what this handle holds; if no lock was ever requested by it, the exclusive lock of this process on
    /// the same file. Returns the number of the acquisition that has ended, or `undefined` if there is none. A failure: the
    /// lock was lost before, its entry could not be removed, or others hold it.
    pub release: Function<'static, FnArgs<(u32,)>, Either3<f64, Failure, ()>>,
    /// `(handle, id?, keepsFile?)`: releases what this handle holds, if anything; with `id`, only what was acquired with it; with
    /// `keepsFile`, a file that is deleted on release stays. Returns the same as `release`.
    pub dispose: Function<'static, FnArgs<(u32, Option<u32>, Option<bool>)>, Either3<f64, Failure, ()>>,
    /// `(threadId)`: sets the `threadId` of this thread.
    pub identify: Function<'static, FnArgs<(u32,)>, ()>,
    /// True on the first thread of the process, whose `threadId` is 0. Windows does not tell: `false`.
    pub is_first_thread: bool,
}

/// The arguments of `createHandle`.
type CreateHandle =
    (Either<String, Uint8Array>, u32, u32, bool, Option<String>, Option<u32>, Option<u32>, Option<u32>);

/// Opens the environment that calls, and returns its functions.
#[napi(catch_unwind)]
pub(crate) fn open(env: napi::Env) -> Result<NativeApi> {
    let env = Env::of(&env);
    let environment = Live::<Environment>::of(env)?;
    Ok(NativeApi {
        create_handle: environment.function(env, c"createHandle", create_handle)?,
        forget_handle: environment.function(env, c"forgetHandle", forget_handle)?,
        is_held: environment.function(env, c"isHeld", is_held)?,
        acquire: environment.function(env, c"acquire", acquire)?,
        steal: environment.function(env, c"steal", steal)?,
        receive: environment.function(env, c"receive", receive)?,
        acquire_sync: environment.function(env, c"acquireSync", acquire_sync)?,
        file_number: environment.function(env, c"fileNumber", file_number)?,
        is_locked: environment.function(env, c"isLocked", is_locked)?,
        holders: environment.function(env, c"holders", holders)?,
        waiters: environment.function(env, c"waiters", waiters)?,
        query: environment.function(env, c"query", query)?,
        break_lock: environment.function(env, c"breakLock", break_lock)?,
        next_losses: environment.function(env, c"nextLosses", next_losses)?,
        descriptor: environment.function(env, c"descriptor", descriptor)?,
        cancel: environment.function(env, c"cancel", cancel)?,
        release: environment.function(env, c"release", release)?,
        dispose: environment.function(env, c"dispose", dispose)?,
        identify: environment.function(env, c"identify", identify)?,
        is_first_thread: is_first_thread(),
    })
}

fn create_handle(
    environment: &Environment,
    _: Env<'_>,
    (path, file_mode, removal, allow_directory, protocol, stale, update, permits): CreateHandle,
) -> Result<u32> {
    let protocol = match protocol {
        None => ProtocolOptions::FLOCK,
        Some(name) => ProtocolOptions {
            protocol: Protocol::named(&name).ok_or_else(|| Error::from_status(Status::InvalidArg))?,
            stale: stale.map(to_duration),
            update: update.map(to_duration),
        },
    };
    let removal = match removal {
        0 => Removal::Never,
        1 => Removal::OnRelease,
        _ => Removal::WhenUnused,
    };
    if !protocol.protocol.is_kept_by_kernel() || removal == Removal::WhenUnused {
        remove_entries_at_exit();
    }
    let options = HandleOptions { file_mode, removal, allow_directory, protocol, permits };
    Ok(environment.handles.borrow_mut().add(Handle::new(to_path(path)?, options)))
}

fn forget_handle(environment: &Environment, _: Env<'_>, (handle,): (u32,)) -> Result<()> {
    environment.handles.borrow_mut().forget(handle);
    Ok(())
}

fn is_held(environment: &Environment, _: Env<'_>, (handle,): (u32,)) -> Result<bool> {
    Ok(environment.handles.borrow().get(handle)?.is_held())
}

fn acquire(
    environment: &Environment,
    env: Env<'_>,
    (handle, id, shared, timeout, names_holders, file): (u32, u32, bool, f64, bool, Option<BigInt>),
) -> Result<Either3<PromiseRaw<'static, Either<Failure, ()>>, Failure, ()>> {
    let sink = environment.completions.clone();
    let options = RequestOptions {
        names_holders,
        expected: file.map(to_file_id),
        token: token(handle, id),
        ..request_options(environment, handle, shared, timeout, sink)?
    };
    to_grant(environment.outcome_of(env, &ENGINE.start(options))?)
}

fn steal(
    environment: &Environment,
    env: Env<'_>,
    (handle, id): (u32, u32),
) -> Result<Either3<PromiseRaw<'static, Either<Failure, ()>>, Failure, ()>> {
    let sink = environment.completions.clone();
    let options = RequestOptions {
        token: token(handle, id),
        ..request_options(environment, handle, false, 0.0, sink)?
    };
    to_grant(environment.outcome_of(env, &ENGINE.steal(options))?)
}

/// Returns what JavaScript gets for the outcome of a request, or for the promise of it.
fn to_grant<T>(
    outcome: Either<Outcome, PromiseRaw<'static, T>>,
) -> Result<Either3<PromiseRaw<'static, T>, Failure, ()>> {
    Ok(match outcome {
        Either::A(outcome) => Failure::of(outcome).map_or(Either3::C(()), Either3::B),
        Either::B(promise) => Either3::A(promise),
    })
}

fn receive(environment: &Environment, _: Env<'_>, (handle, id): (u32, u32)) -> Result<Either<f64, ()>> {
    let ticket = environment.handles.borrow().get(handle)?.receive(token(handle, id));
    Ok(ticket.map_or(Either::B(()), |ticket| Either::A(to_number(ticket))))
}

fn acquire_sync(
    environment: &Environment,
    env: Env<'_>,
    (handle, shared, timeout, names_holders, file): (u32, bool, f64, bool, Option<BigInt>),
) -> Result<Either<f64, Failure>> {
    let sink = environment.sync_waiter.clone();
    let options = request_options(environment, handle, shared, timeout, sink)?;
    let options = RequestOptions {
        names_holders,
        expected: file.map(to_file_id),
        blocks_client: true,
        token: token(handle, 0),
        ..options
    };
    let (request, outcome) = environment.wait(env, options);
    let acquisition = request.handle.receive(request.token);
    Ok(match (Failure::of(outcome), acquisition) {
        (None, Some(ticket)) => Either::A(to_number(ticket)),
        (Some(failure), _) => Either::B(failure),
        (None, None) => Either::B(Failure::new("aborted")),
    })
}

fn file_number(environment: &Environment, _: Env<'_>, (handle,): (u32,)) -> Result<Either<BigInt, ()>> {
    let file = environment.handles.borrow().get(handle)?.file_id();
    Ok(file.map_or(Either::B(()), |file| Either::A(to_file_number(file))))
}

fn is_locked(
    environment: &Environment,
    env: Env<'_>,
    (handle, id): (u32, u32),
) -> Result<PromiseRaw<'static, Either<bool, Failure>>> {
    ask(environment, env, handle, id, &|handle, sink, token| ENGINE.find_locked(handle, sink, token))
}

fn holders(
    environment: &Environment,
    env: Env<'_>,
    (handle, id): (u32, u32),
) -> Result<PromiseRaw<'static, Either3<Vec<LockHolder>, Failure, ()>>> {
    find_holders(environment, env, handle, id, Party::Holders)
}

fn waiters(
    environment: &Environment,
    env: Env<'_>,
    (handle, id): (u32, u32),
) -> Result<PromiseRaw<'static, Either3<Vec<LockHolder>, Failure, ()>>> {
    find_holders(environment, env, handle, id, Party::Waiters)
}

fn break_lock(
    environment: &Environment,
    env: Env<'_>,
    (handle, id): (u32, u32),
) -> Result<PromiseRaw<'static, Either<bool, Failure>>> {
    ask(environment, env, handle, id, &|handle, sink, token| ENGINE.break_lock(handle, sink, token))
}

fn next_losses(environment: &Environment, env: Env<'_>, (): ()) -> Result<PromiseRaw<'static, Vec<u32>>> {
    environment.next_losses(env)
}

fn query(environment: &Environment, _: Env<'_>, (): ()) -> Result<Snapshot> {
    Ok(environment.snapshot().into())
}

fn descriptor(environment: &Environment, _: Env<'_>, (handle,): (u32,)) -> Result<Either<i32, ()>> {
    let descriptor = environment.handles.borrow().get(handle)?.descriptor();
    Ok(descriptor.map_or(Either::B(()), Either::A))
}

fn cancel(environment: &Environment, _: Env<'_>, (handle, id): (u32, u32)) -> Result<()> {
    environment.cancel(token(handle, id));
    Ok(())
}

fn release(environment: &Environment, _: Env<'_>, (handle,): (u32,)) -> Result<Either3<f64, Failure, ()>> {
    let handles = environment.handles.borrow();
    let handle = handles.get(handle)?;
    Ok(match ENGINE.release(handle) {
        None => ENGINE
            .find_owner(handle)
            .map_or(Either3::C(()), |holders| Either3::B(Failure::of_others(holders))),
        released => to_ended(released),
    })
}

fn dispose(
    environment: &Environment,
    _: Env<'_>,
    (handle, id, keeps_file): (u32, Option<u32>, Option<bool>),
) -> Result<Either3<f64, Failure, ()>> {
    let token = id.map(|id| token(handle, id));
    let handles = environment.handles.borrow();
    let handle = handles.get(handle)?;
    let keeps_file = keeps_file.unwrap_or_default();
    Ok(to_ended(if keeps_file { ENGINE.give_back(handle, token) } else { ENGINE.release_own(handle, token) }))
}

fn identify(environment: &Environment, _: Env<'_>, (thread_id,): (u32,)) -> Result<()> {
    environment.client.set_thread_id(thread_id);
    Ok(())
}

fn find_holders(
    environment: &Environment,
    env: Env<'_>,
    handle: u32,
    id: u32,
    party: Party,
) -> Result<PromiseRaw<'static, Either3<Vec<LockHolder>, Failure, ()>>> {
    ask(environment, env, handle, id, &|handle, sink, token| ENGINE.find_holders(&handle, party, sink, token))
}

/// Asks the engine a question about a handle. Returns a promise of the answer.
fn ask<T>(
    environment: &Environment,
    env: Env<'_>,
    handle: u32,
    id: u32,
    question: &dyn Fn(Arc<Handle>, Arc<dyn CompletionSink>, u64),
) -> Result<PromiseRaw<'static, T>> {
    let token = token(handle, id);
    question(environment.handles.borrow().get(handle)?.clone(), environment.completions.clone(), token);
    environment.promise(env, token, None)
}

/// Returns the options of a wait of at most `timeout` ms. The caller sets those that differ from the defaults.
fn request_options(
    environment: &Environment,
    handle: u32,
    shared: bool,
    timeout: f64,
    sink: Arc<dyn CompletionSink>,
) -> Result<RequestOptions> {
    let blocking = timeout != 0.0;
    Ok(RequestOptions {
        handle: environment.handles.borrow().get(handle)?.clone(),
        client: environment.client.clone(),
        mode: if shared { LockMode::Shared } else { LockMode::Exclusive },
        blocking,
        deadline: if blocking { deadline_in(timeout) } else { None },
        expected: None,
        blocks_client: false,
        names_holders: false,
        sink,
        token: 0,
    })
}

/// Returns a time of so many ms.
fn to_duration(time: u32) -> Duration {
    Duration::from_millis(time.into())
}

/// Returns the end of a wait of `timeout` ms, or `None` if that is beyond the range of the clock.
fn deadline_in(timeout: f64) -> Option<Instant> {
    // The conversion saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript has checked it")]
    let wait = Duration::from_micros((timeout * 1000.0) as u64);
    if timeout.is_finite() { Instant::now().checked_add(wait) } else { None }
}
