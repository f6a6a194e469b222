use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdaGradConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use wgpu_optim_burn::{
    WgpuModuleOptim, WgpuOptim,
    wgpu_optim::{Adagrad, Gpu},
};

#[derive(Module, Debug)]
struct Net {
    a: Linear,
    b: Linear,
}
impl Net {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        burn::tensor::activation::sigmoid(
            self.b.forward(burn::tensor::activation::relu(self.a.forward(x))),
        )
    }
}
fn run(
    device: &Device,
    mut net: Net,
    mut optim: impl FnMut(Net, GradientsParams) -> Net,
    steps: usize,
) -> Vec<f32> {
    let mut losses = vec![];
    for s in 0..steps {
        let x: Vec<f32> = (0..3200)
            .map(|i| if (i * 7 + s * 13) % 20 == 0 { ((i % 11) as f32 - 5.0) / 3.0 } else { 0.0 })
            .collect();
        let y: Vec<f32> =
            x.chunks(100).map(|r| if r.iter().sum::<f32>() > 0.0 { 1.0 } else { 0.0 }).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [32, 100]), device);
        let y = Tensor::<2>::from_data(TensorData::new(y, [32, 1]), device);
        let p = net.forward(x);
        let loss =
            (y.clone() * p.clone().log() + (y.neg() + 1.0) * (p.neg() + 1.0).log()).mean().neg();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = optim(net, grads);
    }
    losses
}
fn main() {
    let (device, setup) = Device::wgpu_options().init_with_setup().unwrap();
    let gpu = Gpu::from_wgpu(setup.device, setup.queue);
    let device = device.autodiff();
    let net = Net {
        a: LinearConfig::new(100, 50).init(&device),
        b: LinearConfig::new(50, 1).init(&device),
    };
    let _ = net.forward(Tensor::zeros([1, 100], &device)).into_data();
    let rule = Adagrad { epsilon: 1e-10, ..Default::default() };
    let steps = 100;
    for round in 0..3 {
        let ours = WgpuOptim::new(rule).unwrap();
        let copies = ours.clone();
        let mut ours: ModuleOptimizer = ours.init();
        let t = std::time::Instant::now();
        let a = run(&device, net.clone(), |net, grads| ours.step(0.01, net, grads), steps);
        println!("launched {:?} copies {}", t.elapsed(), copies.copies());
        let mut burns = AdaGradConfig::new().init();
        let t = std::time::Instant::now();
        let b = run(&device, net.clone(), |net, grads| burns.step(0.01, net, grads), steps);
        println!("burn {:?}", t.elapsed());
        let mut module = WgpuModuleOptim::new(&gpu, rule).unwrap();
        let t = std::time::Instant::now();
        let c =
            run(&device, net.clone(), |net, grads| module.step(0.01, net, grads).unwrap(), steps);
        println!("module {:?} copies {}", t.elapsed(), module.copies());
        if round == 0 {
            println!("{:?}\n{:?}\n{:?}", &a[..4], &b[..4], &c[..4]);
            println!("{:?}\n{:?}\n{:?}", &a[36..40], &b[36..40], &c[36..40]);
        }
    }
}
