//! Files that people upload for an agent with a server of its own are handed over to it.

use molecule_e2e::scenario;

use crate::push_answered::options;

scenario!(a_file_is_stored_and_named_to_the_platform, [Current], |stage| {
    let world = stage.world();
    let (id, token) = world.workspace();
    let agent = world.setup(&id).token(&token).build().unwrap();
    let _server = agent.serve(options(stage), |_| Ok(None)).unwrap();
    let form = "--xx\r\nContent-Disposition: form-data; name=\"files\"; filename=\"../a b.txt\"\r\n\
                Content-Type: text/plain\r\n\r\nten bytes!\r\n--xx--\r\n";
    let answer = world.post(
        &format!("/workspaces/{id}/chat/uploads"),
        &token,
        "multipart/form-data; boundary=xx",
        form.as_bytes(),
    );
    assert_eq!(answer.0, 200, "{answer:?}");
    let file = &answer.1["files"][0];
    assert_eq!((&file["mimeType"], &file["size"]), (&"text/plain".into(), &10.into()), "{answer:?}");
    let name = file["name"].as_str().unwrap();
    assert!(!name.contains('/') && !name.contains(".."), "{name}");
    let stored = files_below(world.home().path());
    let [stored] = stored.iter().filter(|path| std::fs::read(path).unwrap() == b"ten bytes!").collect::<Vec<_>>()[..]
    else {
        panic!("{stored:?}")
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(stored).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let _ = stored;
});

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
