//! Help, manual pages and completion scripts: complete, and in an order that suits a newcomer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Folder, text};

const SUBCOMMANDS: [&str; 8] =
    ["fit", "predict", "compare", "trace", "devices", "bench", "completions", "man"];

/// The options of a help text by heading, in its order.
fn options(help: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in help.lines() {
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                sections.push((heading.to_owned(), Vec::new()));
            }
            _ => {
                let mut words = line.split_whitespace().map(|word| word.trim_end_matches(','));
                let name = words.next().filter(|word| word.starts_with('-'));
                let name = name.and_then(|name| match name.starts_with("--") {
                    true => Some(name),
                    false => words.next(),
                });
                let indented = line.starts_with("  ") && !line.starts_with("          ");
                if let (Some(name), true, Some((_, options))) =
                    (name, indented, sections.last_mut())
                {
                    options.push(name.split(['[', '=']).next().unwrap().to_owned());
                }
            }
        }
    }
    sections.retain(|(_, options)| !options.is_empty());
    sections
}

#[test]
fn many_options_come_under_headings_and_the_first_six_first() {
    let place = Folder::new();
    let sections = |subcommand| options(&place.succeed(&[subcommand, "-h"]));
    let headings = |sections: &[(String, Vec<String>)]| {
        sections.iter().map(|(heading, _)| heading.clone()).collect::<Vec<_>>().join(" ")
    };
    let fit = sections("fit");
    assert_eq!(headings(&fit), "Options Data Model Optimizer Training Device Output");
    assert_eq!(
        fit[0].1.join(" "),
        "--target --loss --epochs --test --device --save --help",
        "what a newcomer needs"
    );
    let compare = sections("compare");
    assert_eq!(headings(&compare), "Options Data Optimizer Training Device Output");
    assert_eq!(
        compare[0].1.join(" "),
        "--target --loss --optimizers --learning-rates --epochs --device --help"
    );
    for subcommand in SUBCOMMANDS {
        let sections = sections(subcommand);
        let count: usize = sections.iter().map(|(_, options)| options.len()).sum();
        assert!(count <= 7 || sections.len() > 1, "{subcommand} has {count} options in one list");
        assert!(sections[0].1.len() <= 7, "{subcommand}: {sections:?}");
    }
}

#[test]
fn manual_pages_mention_every_option_and_subcommand() {
    let place = Folder::new();
    let page =
        |arguments: &[&str]| place.succeed(&[&["man"], arguments].concat()).replace("\\-", "-");
    let whole = page(&[]);
    assert!(whole.contains(".TH wgpu-optim 1"), "{whole}");
    for subcommand in SUBCOMMANDS {
        assert!(whole.contains(&format!("wgpu-optim-{subcommand}(1)")), "{subcommand}: {whole}");
        let page = page(&[subcommand]);
        assert!(page.contains(&format!(".TH wgpu-optim-{subcommand} 1")), "{page}");
        for (_, options) in options(&place.succeed(&[subcommand, "-h"])) {
            for option in options {
                assert!(page.contains(&option), "{subcommand}: {option} is not in {page}");
            }
        }
    }
    place.fail(2, &["man", "fly"], &["man fly", "fit, predict"]);
}

#[test]
fn completion_scripts_name_every_subcommand() {
    let place = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.succeed(&["completions", shell]);
        for subcommand in SUBCOMMANDS {
            assert!(script.contains(subcommand), "{shell}: {subcommand}");
        }
        let long = if shell == "fish" { "learning-rate" } else { "--learning-rate" };
        assert!(script.contains(long), "{shell}");
    }
    place.fail(2, &["completions", "tcsh"], &["tcsh", "bash"]);
}

/// bash itself accepts its script.
#[cfg(unix)]
#[test]
fn the_bash_script_is_sound() {
    let place = Folder::new();
    place.file("script", place.succeed(&["completions", "bash"]));
    let Ok(output) = std::process::Command::new("bash")
        .current_dir(place.directory.path())
        .args(["-c", "source ./script && complete -p wgpu-optim"])
        .output()
    else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("-F _wgpu"), "{}", text(&output.stdout));
}
