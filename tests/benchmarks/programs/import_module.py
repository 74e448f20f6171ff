"""Row 9: import the modules named on the command line, or none; how long that takes is measured from outside."""

import sys

for name in sys.argv[1:]:
    __import__(name)
