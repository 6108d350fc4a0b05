#include "transport/sim/sim.h"
