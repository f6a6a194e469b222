//! The environment that drivers see.

/// A path that does not exist.
#[cfg(target_os = "linux")]
const NOWHERE: &str = "/nonexistent";

/// Silences a driver's error message that does not concern the user.
///
/// Mesa's device selection, a layer that every Vulkan program on Linux loads, asks the Wayland
/// compositor for its GPU. Where there is no compositor and no `XDG_RUNTIME_DIR`, libwayland writes
/// `error: XDG_RUNTIME_DIR is invalid or not set in the environment.` to standard error each time. With
/// a directory that has no compositor's socket it fails as well, and is silent.
///
/// Call this before any thread starts.
#[cfg(target_os = "linux")]
pub(crate) fn quieten_drivers() {
    let is_path = |name: &str| {
        std::env::var_os(name).is_some_and(|value| std::path::Path::new(&value).is_absolute())
    };
    // With one of these, libwayland needs no directory.
    let finds_compositor =
        std::env::var_os("WAYLAND_SOCKET").is_some() || is_path("WAYLAND_DISPLAY");
    if finds_compositor || is_path("XDG_RUNTIME_DIR") {
        return;
    }
    #[allow(unsafe_code, reason = "std has no safe way to set an environment variable")]
    // SAFETY: `main` calls this before it does anything else, so there is no other thread that could
    // read or write the environment meanwhile.
    unsafe {
        std::env::set_var("XDG_RUNTIME_DIR", NOWHERE);
    }
}

/// On other systems, there is nothing to do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn quieten_drivers() {}
