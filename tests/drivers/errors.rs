//! Errors that only a real driver returns, and the recovery from them.

use wgpu_optim::{
    Adagrad, DownloadError, Gpu, GpuOptimizer, GpuRequest, GpuVec, StepError, VectorError, wgpu,
};

use crate::Check;
use crate::boundaries::agree;
use crate::driver::Driver;

/// SwiftShader reports when memory runs out. lavapipe never does, and shows as ignored.
pub(crate) const MEMORY_CHECKS: &[Check] =
    &[("out of memory is an error, and the device stays usable", out_of_memory)];

pub(crate) fn reports_memory(driver: &Driver) -> bool {
    driver.name == "swiftshader"
}

pub(crate) const CHECKS: &[Check] = &[
    ("a vector of another device is refused", foreign_vector),
    ("a destroyed buffer is refused", destroyed_buffer),
    ("limits that the adapter lacks are named", limits),
    ("a vector that no device can hold is refused at once", endless),
];

fn foreign_vector(driver: &Driver) {
    let gpu = driver.gpu();
    let other = driver.with_limits(|_| ());
    let (params, grads) = (gpu.upload(&[1.0; 8]).unwrap(), gpu.upload(&[1.0; 8]).unwrap());
    let foreign = other.upload(&[1.0; 8]).unwrap();
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 8).unwrap();
    let error = optimizer.step(&params, &foreign).unwrap_err();
    assert_eq!(error, StepError::ForeignDevice { vector: "grads" });
    assert_eq!(foreign.download_blocking(gpu), Err(DownloadError::ForeignDevice));
    assert_eq!(gpu.write(&foreign, &[2.0; 8]), Err(VectorError::ForeignDevice));
    assert_eq!(optimizer.steps(), 0);
    assert_eq!(params.download_blocking(gpu).unwrap(), [1.0; 8]);
    optimizer.step(&params, &grads).unwrap();
    assert_ne!(params.download_blocking(gpu).unwrap(), [1.0; 8]);
}

fn destroyed_buffer(driver: &Driver) {
    let gpu = driver.gpu();
    let (params, grads) = (gpu.upload(&[1.0; 8]).unwrap(), gpu.upload(&[1.0; 8]).unwrap());
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 8).unwrap();
    optimizer.step(&params, &grads).unwrap();
    let doomed = gpu.upload(&[1.0; 8]).unwrap();
    for (buffer, _) in doomed.buffers() {
        buffer.destroy();
    }
    let before = params.download_blocking(gpu).unwrap();
    let error = optimizer.step(&params, &doomed).unwrap_err();
    assert!(matches!(error, StepError::ForeignBuffer { .. }), "{error}");
    assert_eq!((optimizer.steps(), params.download_blocking(gpu).unwrap()), (1, before));
    optimizer.step(&params, &grads).unwrap();
    assert_eq!(optimizer.steps(), 2);
}

fn out_of_memory(driver: &Driver) {
    let gpu = driver.gpu();
    // More than any machine has. The call fails, and frees the buffers that it created so far.
    let error = gpu.zeros(1 << 42).unwrap_err();
    assert_eq!(error, VectorError::OutOfMemory { bytes: 4 << 42 });
    agree(driver, gpu, Adagrad::default(), 1000, 2);
}

fn endless(driver: &Driver) {
    let start = std::time::Instant::now();
    let error = driver.gpu().zeros(usize::MAX).unwrap_err();
    assert_eq!(error, VectorError::OutOfMemory { bytes: u64::MAX });
    assert!(start.elapsed().as_secs_f64() < 1.0);
}

fn limits(driver: &Driver) {
    let info = driver.gpu().info();
    let limits = wgpu::Limits { max_bind_groups: 1000, ..wgpu::Limits::default() };
    let request = GpuRequest { limits: Some(limits), ..GpuRequest::named(info.name) };
    let error = Gpu::request_blocking(&request).unwrap_err();
    assert!(error.to_string().contains("max_bind_groups"), "{error}");
    let offset = GpuVec::from_buffer(
        driver.gpu().upload(&[0.0; 4]).unwrap().buffers().next().unwrap().0,
        6,
        1,
    );
    assert_eq!(offset, Err(VectorError::Misaligned { offset: 6 }));
}
