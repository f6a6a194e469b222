use std::collections::{HashMap, HashSet};

use super::*;

fn noop(limits: wgpu::Limits) -> (wgpu::Device, PartPool) {
    let pool = PartPool::new("test", &limits, SHARED_BYTES);
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    (wgpu::Device::noop(&descriptor).0, pool)
}

fn take(
    (device, pool): (&wgpu::Device, &PartPool),
    sizes: impl IntoIterator<Item = u64>,
) -> Result<Vec<Part>, DeviceError> {
    sizes.into_iter().map(|bytes| pool.take(device, bytes)).collect()
}

/// The buffer of a part, and its byte range there.
fn place(part: &Part) -> (wgpu::Buffer, u64, u64) {
    (part.buffer.clone(), part.offset, part.offset + part.size)
}

#[allow(clippy::mutable_key_type, reason = "the identity of a buffer does not change")]
fn assert_disjoint(parts: &[Part]) {
    let mut by_buffer: HashMap<wgpu::Buffer, Vec<(u64, u64)>> = HashMap::new();
    for (buffer, start, end) in parts.iter().map(place) {
        assert!(end <= buffer.size());
        by_buffer.entry(buffer).or_default().push((start, end));
    }
    for ranges in by_buffer.values_mut() {
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }
}

#[test]
fn parts_of_all_sizes_are_aligned_and_disjoint() -> Result<(), DeviceError> {
    let (device, pool) = noop(wgpu::Limits::default());
    let sizes = (1..400_u64).map(|k| k * k % 70_000 + 1).chain([SHARED_BYTES, SHARED_BYTES + 1]);
    let parts = take((&device, &pool), sizes.clone())?;
    for (part, bytes) in parts.iter().zip(sizes) {
        assert!(part.size >= bytes && part.size.is_multiple_of(16), "{bytes}");
        assert!(part.offset.is_multiple_of(256) && part.zeros, "{bytes}");
    }
    assert_disjoint(&parts);
    let alone = pool.take(&device, SHARED_BYTES + 4)?;
    assert_eq!((alone.offset, alone.size, alone.buffer.size()), (0, 65_552, 65_552));
    Ok(())
}

#[test]
#[allow(clippy::mutable_key_type, reason = "the identity of a buffer does not change")]
fn ten_thousand_small_parts_need_few_buffers() -> Result<(), DeviceError> {
    let (device, pool) = noop(wgpu::Limits::default());
    let parts = take((&device, &pool), std::iter::repeat_n(256, 10_000))?;
    assert_disjoint(&parts);
    let buffers: HashSet<_> = parts.iter().map(|part| part.buffer.clone()).collect();
    assert!(buffers.len() <= 10, "{} buffers", buffers.len());
    // All parts are returned, so taking as many again adds no buffer.
    drop(parts);
    let again = take((&device, &pool), std::iter::repeat_n(256, 10_000))?;
    assert!(again.iter().all(|part| !part.zeros && buffers.contains(&part.buffer)));
    assert_disjoint(&again);
    Ok(())
}

#[test]
fn a_part_is_free_when_its_last_guard_is_dropped() -> Result<(), DeviceError> {
    let (device, pool) = noop(wgpu::Limits::default());
    let part = pool.take(&device, 1000)?;
    let (first, guard) = (place(&part), Arc::clone(&part.guard));
    drop(part);
    assert_ne!(place(&pool.take(&device, 1000)?), first, "the guard is still held");
    drop(guard);
    assert_eq!(place(&pool.take(&device, 600)?), first);
    Ok(())
}

#[test]
fn device_limits_are_respected() -> Result<(), DeviceError> {
    let defaults = wgpu::Limits::default();
    let coarse = wgpu::Limits { min_storage_buffer_offset_alignment: 1024, ..defaults.clone() };
    let pool = PartPool::new("test", &coarse, SHARED_BYTES);
    assert_eq!(pool.part_bytes, 1024);
    // A page is at most as large as a buffer may be; other parts get their own buffer.
    let (device, pool) = noop(wgpu::Limits { max_buffer_size: 1000, ..defaults });
    let parts = take((&device, &pool), [1, 1, 256, 512, 513, 700])?;
    assert_disjoint(&parts);
    assert!(pool.take(&device, 2000).is_err());
    Ok(())
}

#[test]
fn threads_get_parts_of_their_own() -> Result<(), DeviceError> {
    let (device, pool) = noop(wgpu::Limits::default());
    let work = |seed: u64| -> Result<Vec<Part>, DeviceError> {
        let mut held = Vec::new();
        for k in 0..5_000_u64 {
            held.push(pool.take(&device, 1 + (k * 7919 + seed) % 3000)?);
            if k % 3 == 0 {
                held.swap_remove((k * 31 + seed) as usize % held.len());
            }
        }
        Ok(held)
    };
    let results = std::thread::scope(|scope| {
        let threads = [1, 2].map(|seed| scope.spawn(move || work(seed)));
        threads.map(|thread| thread.join().unwrap_or(Ok(Vec::new())))
    });
    let mut parts = Vec::new();
    for result in results {
        let held = result?;
        assert_eq!(held.len(), 5_000 - 1_667);
        parts.extend(held);
    }
    assert_disjoint(&parts);
    Ok(())
}
