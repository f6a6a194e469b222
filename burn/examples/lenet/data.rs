//! Fashion-MNIST, and batches of it.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::idx::{self, Idx};

/// Pixels along an edge of an image.
pub const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
/// Kinds of clothes.
pub const CLASSES: usize = 10;
/// Mean and standard deviation of all pixels of the training images, as parts of white.
const MEAN: f32 = 0.2860;
const DEVIATION: f32 = 0.3530;
/// Debian's package of the files, and where it puts them.
const PACKAGE: &str = "dataset-fashion-mnist";
pub const DIRECTORY: &str = "/usr/share/datasets/fashion-mnist";

/// Images with their labels.
#[derive(Debug)]
pub struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// Both parts of the dataset.
pub struct FashionMnist {
    pub training: Images,
    pub test: Images,
}

impl FashionMnist {
    /// Reads the four files in `directory`, of which each may be compressed.
    pub fn load(directory: &Path) -> Result<Self, String> {
        let part = |name| Images::load(directory, name);
        Ok(Self { training: part("train")?, test: part("t10k")? })
    }
}

/// The file called `name` or `name.gz`.
fn find(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let paths = [directory.join(name), directory.join(format!("{name}.gz"))];
    paths.into_iter().find(|path| path.exists()).ok_or_else(|| {
        format!(
            "{} has no {name}, nor {name}.gz: install Debian's package {PACKAGE}, or name the \
             directory of the files with --data",
            directory.display()
        )
    })
}

fn read(path: &Path, dimensions: usize) -> Result<Idx, String> {
    idx::read(path, dimensions).map_err(|error| format!("{}: {error}", path.display()))
}

impl Images {
    fn load(directory: &Path, part: &str) -> Result<Self, String> {
        let images_path = find(directory, &format!("{part}-images-idx3-ubyte"))?;
        let labels_path = find(directory, &format!("{part}-labels-idx1-ubyte"))?;
        let images = read(&images_path, 3)?;
        let labels = read(&labels_path, 1)?;
        let paths = format!("{} and {}", images_path.display(), labels_path.display());
        Self::new(images, labels).map_err(|error| format!("{paths}: {error}"))
    }

    fn new(images: Idx, labels: Idx) -> Result<Self, String> {
        let [count, height, width] = images.dimensions[..] else {
            return Err(format!("images have 3 dimensions, not {}", images.dimensions.len()));
        };
        if [height, width] != [SIDE, SIDE] {
            return Err(format!(
                "the images are of {height} x {width} pixels, not {SIDE} x {SIDE}"
            ));
        }
        if labels.bytes.len() != count {
            return Err(format!("{count} images, but {} labels", labels.bytes.len()));
        }
        if count == 0 {
            return Err("there are no images".to_owned());
        }
        if let Some(label) = labels.bytes.iter().find(|&&label| usize::from(label) >= CLASSES) {
            return Err(format!("label {label}: there are {CLASSES} classes, counted from 0"));
        }
        Ok(Self { pixels: images.bytes, labels: labels.bytes })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The first `count` of them, and as many of those that follow as `then` says.
    pub fn split(&self, count: usize, then: usize) -> (Self, Self) {
        let part = |from: usize, to: usize| Self {
            pixels: self.pixels[PIXELS * from..PIXELS * to].to_vec(),
            labels: self.labels[from..to].to_vec(),
        };
        let end = self.len().min(count + then);
        (part(0, count.min(end)), part(count.min(end), end))
    }

    /// The label of an image.
    pub fn label(&self, index: u32) -> usize {
        self.labels[index as usize].into()
    }

    /// The images of these numbers, with mean 0 and deviation 1, of shape `[n, 1, 28, 28]`.
    pub fn pixels(&self, indices: &[u32], device: &Device) -> Tensor<4> {
        let image = |&index: &u32| &self.pixels[PIXELS * index as usize..][..PIXELS];
        let normal = |&pixel: &u8| (f32::from(pixel) / 255.0 - MEAN) / DEVIATION;
        let pixels: Vec<f32> = indices.iter().flat_map(image).map(normal).collect();
        Tensor::from_data(TensorData::new(pixels, [indices.len(), 1, SIDE, SIDE]), device)
    }

    /// The labels of the same.
    pub fn labels(&self, indices: &[u32], device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i32> = indices.iter().map(|&index| self.label(index) as i32).collect();
        Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn idx(dimensions: &[usize], byte: u8) -> Idx {
        Idx { dimensions: dimensions.to_vec(), bytes: vec![byte; dimensions.iter().product()] }
    }

    #[test]
    fn images_and_labels_go_together() {
        let images = Images::new(idx(&[3, 28, 28], 7), idx(&[3], 9)).unwrap();
        assert_eq!((images.len(), images.label(2)), (3, 9));
        let (two, one) = images.split(2, 5);
        assert_eq!((two.len(), one.len()), (2, 1));
    }

    #[test]
    fn what_differs_is_reported() {
        let error = |images, labels| Images::new(images, labels).unwrap_err();
        assert_eq!(error(idx(&[3, 28, 28], 0), idx(&[2], 0)), "3 images, but 2 labels");
        let shape = "the images are of 28 x 27 pixels, not 28 x 28";
        assert_eq!(error(idx(&[3, 28, 27], 0), idx(&[3], 0)), shape);
        let label = "label 10: there are 10 classes, counted from 0";
        assert_eq!(error(idx(&[3, 28, 28], 0), idx(&[3], 10)), label);
        assert_eq!(error(idx(&[0, 28, 28], 0), idx(&[0], 0)), "there are no images");
    }

    #[test]
    fn missing_files_name_the_package_and_the_option() {
        let error = FashionMnist::load(Path::new("/nonexistent")).err().unwrap();
        assert!(error.contains(PACKAGE) && error.contains("--data"), "{error}");
    }
}
