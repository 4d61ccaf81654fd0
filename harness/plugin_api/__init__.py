"""What third parties import: ``broker``, ``client``, ``fault``, ``check``. Everything else may change without notice.

Nothing in the harness imports this package. A worker of a third party's broker imports ``client`` alone.
"""
