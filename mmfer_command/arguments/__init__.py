"""Arguments of the sub-commands of ``mmfer``, shared with the tools in ``tools/``.

Each module but `common` belongs to one sub-command. It has the function
``add_arguments(parser)``, and a ``DESCRIPTION`` if the help says more than the summary.
Nothing here imports torch.
"""
