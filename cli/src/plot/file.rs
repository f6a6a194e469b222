//! Where pictures go, and in which format.

use std::error::Error as StdError;
use std::io::Write;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::picture::{DrawResult, FONT, Picture};
use crate::output::OutputError;
use crate::output::file::OutputFile;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    #[error(
        "{option} {}: pictures are .svg or .png: give a name with one of these extensions",
        path.display()
    )]
    Extension { option: &'static str, path: PathBuf },
    #[error("drawing failed: {0}")]
    Drawing(String),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl PlotError {
    /// Whether the run failed, rather than the argument being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        match self {
            Self::Extension { .. } => false,
            Self::Drawing(_) => true,
            Self::Output(error) => !error.is_argument(),
        }
    }
}

/// A picture's file, known to be writable and of a known format.
pub(crate) struct PlotFile {
    file: OutputFile,
    vector: bool,
}

impl PlotFile {
    /// Checks the extension, and that the path can be written and is none of `inputs`. `option` is
    /// the argument's name, for errors.
    pub(crate) fn prepare(
        option: &'static str,
        path: &Path,
        inputs: &[&Path],
    ) -> Result<Self, PlotError> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let vector = match extension.as_str() {
            "svg" => true,
            "png" => false,
            _ => return Err(PlotError::Extension { option, path: path.to_owned() }),
        };
        Ok(Self { file: OutputFile::prepare(path, inputs)?.beside_result()?, vector })
    }

    /// Where the picture goes.
    pub(crate) fn file(&self) -> &OutputFile {
        &self.file
    }

    /// Draws the picture and puts it in place.
    pub(crate) fn write(&self, picture: &impl Picture) -> Result<(), PlotError> {
        let bytes = if self.vector { svg(picture) } else { png(picture) };
        let bytes = bytes.map_err(|error| PlotError::Drawing(error.to_string()))?;
        Ok(self.file.write(|file| file.write_all(&bytes))?)
    }
}

fn svg(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn StdError>> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, picture.size()), picture)?;
    Ok(text.into_bytes())
}

fn png(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn StdError>> {
    let size = picture.size();
    let (width, height) = size;
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    draw(BitMapBackend::with_buffer(&mut pixels, size), picture)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn draw<B: DrawingBackend>(backend: B, picture: &impl Picture) -> DrawResult
where
    B::ErrorType: 'static,
{
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the built-in font could not be read: please report this")?;
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    picture.draw(&area)?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::loss::LossCurve;

    #[test]
    fn both_formats_are_what_their_names_say() {
        let directory = tempfile::tempdir().unwrap();
        let curve = LossCurve { points: &[(0.0, 1.0), (1.0, 0.5), (2.0, 0.3)], best: Some(0.2) };
        for (name, start) in [("a.svg", b"<svg".as_slice()), ("a.PNG", b"\x89PNG")] {
            let path = directory.path().join(name);
            PlotFile::prepare("--plot", &path, &[]).unwrap().write(&curve).unwrap();
            assert!(std::fs::read(&path).unwrap().starts_with(start));
        }
        for name in ["a.jpg", "svg"] {
            let refused = PlotFile::prepare("--plot", Path::new(name), &[]);
            assert!(matches!(refused, Err(PlotError::Extension { .. })), "{name}");
        }
    }

    /// One point, all points equal, and a run that ends where it began.
    #[test]
    fn flat_curves_can_be_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flat.svg");
        for points in [&[(0.0, 0.0)][..], &[(0.0, 0.3), (1.0, 0.3)]] {
            let curve = LossCurve { points, best: None };
            PlotFile::prepare("--plot", &path, &[]).unwrap().write(&curve).unwrap();
        }
    }
}
