// Before the first line is drawn: with scripts, the map stands where its still picture stands without.
document.documentElement.classList.add("js");
