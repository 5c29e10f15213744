"""The command ``mmfer``: arguments, shipped configs, and the doctor.

This package stands beside ``mmfer``, because ``import mmfer`` imports torch, and stops
if a package is missing or damaged. Here nothing but the standard library is imported
before a command runs. So ``mmfer --help`` takes no seconds, and ``mmfer doctor`` works
where ``import mmfer`` does not.

| module | contents |
|---|---|
| `main` | the table of sub-commands, and the function that the command calls |
| `arguments` | their arguments, which the tools in `tools/` share |
| `shipped` | where configs and tools of the installed package are |
| `doctor`, `probes` | what is wrong with an installation |
"""
