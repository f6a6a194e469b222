use burn::nn::{Linear, LinearConfig, loss::BinaryCrossEntropyLossConfig};
use burn::optim::{AdagradConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use wgpu_optim_burn::{WgpuOptim, wgpu_optim::Adagrad};

#[derive(Module, Debug)]
struct Net { a: Linear, b: Linear }
impl Net {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        burn::tensor::activation::sigmoid(self.b.forward(burn::tensor::activation::relu(self.a.forward(x))))
    }
}
fn run(device: &Device, mut net: Net, mut optim: ModuleOptimizer, steps: usize) -> Vec<f32> {
    let mut losses = vec![];
    for s in 0..steps {
        let x: Vec<f32> = (0..3200).map(|i| if (i * 7 + s * 13) % 20 == 0 { ((i % 11) as f32 - 5.0) / 3.0 } else { 0.0 }).collect();
        let y: Vec<f32> = x.chunks(100).map(|r| if r.iter().sum::<f32>() > 0.0 { 1.0 } else { 0.0 }).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [32, 100]), device);
        let y = Tensor::<2>::from_data(TensorData::new(y, [32, 1]), device);
        let p = net.forward(x);
        let loss = (y.clone() * p.clone().log() + (y.neg() + 1.0) * (p.neg() + 1.0).log()).mean().neg();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = optim.step(0.01, net, grads);
    }
    losses
}
fn main() {
    let device = Device::default().autodiff();
    let net = Net { a: LinearConfig::new(100, 50).init(&device), b: LinearConfig::new(50, 1).init(&device) };
    let _ = net.forward(Tensor::zeros([1, 100], &device)).into_data();
    let ours = WgpuOptim::new(Adagrad { epsilon: 1e-10, ..Default::default() }).unwrap();
    let copies = ours.clone();
    let t = std::time::Instant::now();
    let a = run(&device, net.clone(), ours.init(), 40);
    println!("ours {:?} copies {}", t.elapsed(), copies.copies());
    let t = std::time::Instant::now();
    let b = run(&device, net.clone(), AdagradConfig::new().init(), 40);
    println!("burn {:?}", t.elapsed());
    println!("{:?}\n{:?}", &a[..5], &b[..5]);
    println!("{:?}\n{:?}", &a[35..], &b[35..]);
}
