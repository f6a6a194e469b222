use super::super::errors::StepError;
use super::*;

fn place(vector: &GpuVec) -> Vec<(wgpu::Buffer, Range<u64>)> {
    vector.buffers().map(|(buffer, bytes)| (buffer.clone(), bytes)).collect()
}

#[test]
fn state_shares_buffers_and_is_zero_when_reused() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::noop();
    let (one, two) = (gpu.zeroed_state(7)?, gpu.zeroed_state(64)?);
    assert!(one.shares_buffer(&two));
    // Both can be bound for writing at once, each by its own part.
    let [a, b] = [&one, &two].map(|vector| vector.segments()[0].bindable());
    assert!(a.end <= b.start || b.end <= a.start);
    assert_eq!((one == one.clone(), one == two), (true, false));
    gpu.write(&one, &[3.0; 7])?;
    let (freed, slice) = (place(&one), one.slice(2..3)?);
    drop(one);
    // A slice keeps the memory, and so does a guard.
    let guard: Vec<_> = slice.guards().collect();
    assert_ne!(place(&gpu.zeroed_state(7)?), freed);
    drop(slice);
    assert_ne!(place(&gpu.zeroed_state(7)?), freed);
    drop(guard);
    let again = gpu.zeroed_state(7)?;
    assert_eq!(place(&again), freed);
    assert_eq!(again.download_blocking(&gpu)?, [0.0; 7]);
    // Memory that kernels only read is in another buffer.
    assert!(place(&again)[0].0 != gpu.small_storage(28).map_err(StepError::from)?.buffer);
    Ok(())
}

#[test]
fn large_state_and_all_vectors_of_the_caller_have_their_own_buffers() -> Result<(), VectorError> {
    let gpu = Gpu::noop();
    let large = || gpu.zeroed_state(1 + SHARED_BYTES as usize / 4);
    assert!(!large()?.shares_buffer(&large()?));
    assert!(!gpu.zeros(4)?.shares_buffer(&gpu.zeros(4)?));
    assert_eq!(gpu.zeroed_state(0), Err(VectorError::Empty));
    Ok(())
}
